"""`concurrency=1,4,16` in one sweep starts one engine and measures three times: is that so.

    python benchmarks/concurrencies.py [--samples 32]

The sweep runs as a user runs it, on the HF engine with a demo model. Ends with 1 where more than one engine was
started, or where a job has no figures of its own. Half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from parts.limits import Limit, tell

CONCURRENCIES = (1, 4, 16)
FIGURES = ("latency/p50_s", "throughput/requests_per_s", "memory/cpu_peak_gib")


def main() -> int:
    """Run the sweep, print, and return 1 where it falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=32)
    samples = parser.parse_args().samples
    words = ["model=demo_s", f"concurrency={','.join(map(str, CONCURRENCIES))}", f"dataset.limit={samples}"]
    command = [sys.executable, "-m", "runner", "-m", *words, "tracking=none", "metrics=[exact_match]"]
    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, "RUNNER_STORE": str(Path(name) / "store")}
        subprocess.run(command, cwd=name, env=environment, check=True, capture_output=True)
        jobs = [json.loads(path.read_text())["metrics"] for path in Path(name).rglob("metrics.json")]
    told = f"concurrency={','.join(map(str, CONCURRENCIES))}"
    for job in jobs:
        print(", ".join(f"{figure} {job.get(figure, float('nan')):.3g}" for figure in FIGURES))
    asked = [job for job in jobs if job["samples/reused"] == 0 and all(figure in job for figure in FIGURES)]
    return tell(
        [
            Limit(f"engines started by {told}", sum(job["engine/starts"] for job in jobs), "==", 1),
            Limit(f"jobs of {told} with measurements of their own", len(asked), "==", len(CONCURRENCIES)),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
