"""Does the order of a sweep's arguments change its figures? Eight jobs on two models, in two orders and once more.

    python benchmarks/order_of_jobs.py [--samples 30]

Two prompts x two samplings (greedy; a temperature, twice each) x two models on the HF engine: two engines are started
whatever the order. Each job's latency and CPU memory under the turned order are set in relation to those under the
first, and so are those of the first order run again: that is the noise. Ends with 1 where the turned order differs by
more than twice the noise and by more than 5%, or where engines were started more than twice. About 4 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from parts.limits import Limit, tell

FIGURES = ("latency/p50_s", "memory/cpu_peak_gib")
SWEPT = ("prompt=plain,demo_detailed", "sampling=greedy,low_temperature", "model=demo_s,demo_m")
FIXED = ("sampling.repeats=2", "sampling.max_tokens=64", "tracking=none", "metrics=[exact_match]")
TOLERANCE = 0.05


def sweep(folder: Path, swept: tuple[str, ...], samples: int) -> dict[str, dict[str, Any]]:
    """Run the eight jobs in a folder and store of their own; return their metrics by what tells them apart."""
    folder.mkdir()
    command = [sys.executable, "-m", "runner", "-m", *swept, *FIXED, f"dataset.limit={samples}"]
    environment = {**os.environ, "RUNNER_STORE": str(folder / "store")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    found = {}
    for path in folder.rglob("metrics.json"):
        overrides = json.loads((path.parent / "environment.json").read_text())["overrides"]
        told = " ".join(sorted(word for word in overrides if word.startswith(("prompt=", "sampling=", "model="))))
        found[told] = json.loads(path.read_text())["metrics"]
    return found


def differences(one: dict[str, Any], other: dict[str, Any], figure: str) -> list[float]:
    """Return how far each job's figure moved, as the absolute logarithm of the ratio."""
    return [abs(math.log(other[job][figure] / one[job][figure])) for job in one]


def main() -> int:
    """Run the three sweeps, print, and return 1 where the order matters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = sweep(folder / "first", SWEPT, samples)
        turned = sweep(folder / "turned", SWEPT[::-1], samples)
        again = sweep(folder / "again", SWEPT, samples)
    assert len(first) == 8 and set(first) == set(turned) == set(again)
    limits = [
        Limit(f"engines started by eight jobs, {when}", sum(job["engine/starts"] for job in jobs.values()), "==", 2)
        for when, jobs in (("two models", first), ("the order turned", turned), ("once more", again))
    ]
    print(f"{'median of 8 jobs':22}{'order turned':>14}{'same again':>12}")
    for figure in FIGURES:
        moved = statistics.median(differences(first, turned, figure))
        noise = statistics.median(differences(first, again, figure))
        print(f"{figure:22}{moved:13.1%}{noise:12.1%}")
        most = max(TOLERANCE, 2 * noise)
        limits.append(Limit(f"share by which {figure} moves with the order of jobs", moved, "<=", most))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
