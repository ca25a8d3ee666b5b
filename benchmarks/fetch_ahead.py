"""Does fetching the next checkpoint disturb the answers that are timed meanwhile? A sweep of two engines, in turns.

    python benchmarks/fetch_ahead.py [--mb 100] [--mb-per-s 10] [--rounds 3]

Both demo models come from a hub on this machine (tests/local_hub.py), the second with so many MB beside its weights,
into an empty cache. In turns the sweep runs with `pool.fetch_ahead=true` and with `pool.fetch_ahead=false`, where the
second checkpoint is fetched after the first engine's answers; then without once more, which gives the noise. Ends with
0 where each download lay within the first engine's answering and its latency moved by no more than 5%, or twice the
noise. The hub uses the same cores, as one elsewhere would not, so it sends slowly: at the lowest priority it was the
hub that got no turn beside an engine on all cores, and not the program that waited. A sweep is ended after its first
job. 10 minutes on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parts.limits import Limit, tell

ROOT = Path(__file__).resolve().parents[1]
SWEEP = ("-m", "model=demo_s", "model.path=demo/first,demo/second", "backend=hf", "tracking=none", "metrics=[cer]")
ASKED = ("sampling.repeats=9", "sampling.max_tokens=32", "dataset.limit=60")
FIGURES = ("latency/p50_s", "latency/p95_s")
PADDING = "extra.safetensors"  # of the form that is fetched, and not what the engine loads
TOLERANCE = 0.05


@dataclass(frozen=True)
class Run:
    """One sweep: the first job's figures, and seconds from its first question on.

    `download` is when the second checkpoint came, from just before the first question on; None: after the first job.
    """

    metrics: dict[str, Any]
    answering_s: float
    download: tuple[float, float] | None


def sweep(folder: Path, models: Path, bytes_per_s: float, *words: str) -> Run:
    """Run the sweep in a folder and cache of its own."""
    folder.mkdir()
    command = [sys.executable, str(ROOT / "tests" / "local_hub.py"), str(models), "--bytes-per-s", str(bytes_per_s)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        environment = {**os.environ, "RUNNER_STORE": str(folder / "store"), "HF_HOME": str(folder / "hub")}
        environment |= {"HF_ENDPOINT": hub.stdout.readline().strip(), "HF_HUB_OFFLINE": "0"}
        ran = [sys.executable, "-m", "runner", *SWEEP, *ASKED, *words]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(ran, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while (path := first_finished(folder)) is None and process.poll() is None:
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)  # the second engine's answers are not needed
        process.wait()
        asked = json.loads(hub.communicate("")[0])
    if path is None:
        raise SystemExit(f"{' '.join(ran)} failed\n{(folder / 'log').read_text()[-3000:]}")
    rows = [json.loads(line) for line in (path.parent / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    first = min(row["timing"]["sent_at"] for row in rows)
    last = max(row["timing"]["sent_at"] + row["timing"]["latency_s"] for row in rows)
    transfers = [one for one in asked if one["method"] == "GET" and one["path"].endswith(PADDING)]
    download = (transfers[0]["at"] - first, transfers[0]["until"] - first) if transfers else None
    shutil.rmtree(folder / "hub")
    return Run(json.loads(path.read_text())["metrics"], last - first, download)


def first_finished(folder: Path) -> Path | None:
    """Return the record of the job that has finished."""
    found = (path for path in folder.glob("multirun/*/*/*/metrics.json"))
    return next((path for path in found if json.loads(path.read_text())["status"] == "finished"), None)


def ratios(some: list[Run], others: list[Run], figure: str) -> list[float]:
    """Return the logarithm of the ratio for each round, whose runs follow each other."""
    return [math.log(one.metrics[figure] / other.metrics[figure]) for one, other in zip(some, others, strict=True)]


def main() -> int:
    """Measure in turns and print; return 0 where each limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--mb-per-s", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    runs: dict[str, list[Run]] = {"with": [], "without": [], "again": []}
    with tempfile.TemporaryDirectory(prefix="fetch-ahead-") as name:
        models = Path(name) / "models"
        for model, source in (("first", "demo_s"), ("second", "demo_m")):
            shutil.copytree(ROOT / "assets" / "demo_models" / source / "bf16", models / "demo" / model)
        (models / "demo" / "second" / PADDING).write_bytes(os.urandom(given.mb * 1_000_000))
        for number in range(given.rounds):
            for how, words in (
                ("with", ("pool.fetch_ahead=true",)),
                ("without", ("pool.fetch_ahead=false",)),
                ("again", ("pool.fetch_ahead=false",)),
            ):
                run = sweep(Path(name) / f"{how}-{number}", models, given.mb_per_s * 1e6, *words)
                runs[how].append(run)
                told = ", ".join(f"{figure} {run.metrics[figure] * 1000:.1f} ms" for figure in FIGURES)
                at = "none" if run.download is None else f"{run.download[0]:.1f} to {run.download[1]:.1f} s"
                print(f"{number} {how:8} {told}; answers 0 to {run.answering_s:.1f} s, download {at}", flush=True)
    lay = [
        run.download is not None and run.download[0] > -5 and run.download[1] < run.answering_s for run in runs["with"]
    ]
    limits = [Limit("sweeps whose download lay within the first engine's answering", sum(lay), "==", len(lay))]
    for figure in FIGURES:
        moved = statistics.median(ratios(runs["with"], runs["without"], figure))
        noise = statistics.median(map(abs, ratios(runs["again"], runs["without"], figure)))
        print(f"{figure}: moves by {moved:+.1%} with a download, by {noise:.1%} without one")
        most = max(TOLERANCE, 2 * noise)
        limits.append(Limit(f"share by which {figure} moves with a download", abs(moved), "<=", most))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
