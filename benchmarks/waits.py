"""What a user waits for besides answers: this build beside an older one, in turns.

    python benchmarks/waits.py [--before FOLDER] [--questions 600] [--rounds 3]

600 questions at an endpoint that answers after 50 ms, concurrency 16, tracked: seconds before the first request and
after the last answer, and whether the measured latency moved; the same with a new MLflow database. Then the main job on
the demo models: the share of its wall time in which an engine answers. FOLDER is a checkout of the older build with
an environment of its own in .venv; without it nothing is compared, and those lines are `not measured`. All limits but
the share are ratios of medians. About 5 minutes on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parts import builds, endpoint
from parts.limits import Limit, tell

DEMO = ("-m", "model=demo_s,demo_m", "quant=bf16,w4a16")
SHARE = 0.85
NO_BEFORE = "needs --before FOLDER"


@dataclass(frozen=True)
class Waited:
    """Seconds before the first request and after the last answer; the latency that was measured between them."""

    before_s: float
    asking_s: float
    after_s: float
    p50_s: float
    p95_s: float


def finished(folder: Path) -> list[dict[str, Any]]:
    """Return what the jobs below a folder measured."""
    found = [path for path in folder.rglob("metrics.json") if path.parent.name != "artifacts"]
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def asked(python: str, url: str, folder: Path, rows: Path) -> Waited:
    """Run the job of one build in a folder, which may hold a database already."""
    endpoint.account(url, reset=True)
    command = [python, "-m", "runner", "model=openai", "model.name=model", f"backend.base_url={url}/v1"]
    command += ["dataset=jsonl", f"dataset.path={rows}", "metrics=[exact_match,cer]", "reuse=never", "concurrency=16"]
    command += ["backend.api_key_variable=OPENAI_API_KEY", f"hydra.run.dir=outputs/{time.monotonic_ns()}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    environment |= {"RUNNER_STORE": str(folder / "store"), "OPENAI_API_KEY": "k" * 32}
    began = time.time()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    ended, account = time.time(), endpoint.account(url)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    (job,) = finished(max((folder / "outputs").iterdir()))
    measured = job["metrics"]
    return Waited(
        account["first"] - began,
        account["last"] - account["first"],
        ended - account["last"],
        measured["latency/p50_s"],
        measured["latency/p95_s"],
    )


def median(found: list[Waited], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(one, name) for one in found)


def endpoint_limits(pythons: dict[str, str], questions: int, rounds: int, folder: Path) -> list[Limit]:
    """Ask with each build in turns, with a database that is there and with a new one."""
    rows = folder / "rows.jsonl"
    told = [
        {"id": name, "images": [name], "question": "Какая фамилия?", "references": [endpoint.ANSWER]}
        for name in endpoint.pictures(folder, questions, 150)
    ]
    rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in told), encoding="utf-8")
    known: dict[str, list[Waited]] = {name: [] for name in pythons}
    new: dict[str, list[Waited]] = {name: [] for name in pythons}
    with endpoint.running(50) as url:
        for number in range(rounds):
            for name, python in pythons.items():
                where = folder / f"{name}-{number}"
                where.mkdir()
                new[name].append(asked(python, url, where, rows))  # makes the database
                known[name].append(asked(python, url, where, rows))
                print(f"{name}: new database {new[name][-1]}; known {known[name][-1]}", flush=True)
    if "before" not in pythons:
        why = {"why": NO_BEFORE}
        first = fraction = p50 = p95 = None
    else:
        why = {}
        first = median(new["now"], "before_s") / median(new["before"], "before_s")
        waits = {one: median(found, "before_s") + median(found, "after_s") for one, found in known.items()}
        fraction = waits["now"] / waits["before"]
        p50, p95 = (median(known["now"], name) / median(known["before"], name) for name in ("p50_s", "p95_s"))
    return [
        Limit("wait besides 600 answers, beside the build before", fraction, "<=", 0.5, **why),
        Limit("wait for the first request with a new database, beside the build before", first, "<=", 0.25, **why),
        Limit("latency p50 of the same answers, beside the build before", p50, "<=", 1.05, **why),
        Limit("latency p95 of the same answers, beside the build before", p95, "<=", 1.1, **why),
    ]


def demo_share(python: str, folder: Path) -> float:
    """Run the main job; return the share of its wall time between the first request and the last answer of each job."""
    folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    environment |= {"RUNNER_STORE": str(folder / "store")}
    began = time.monotonic()
    subprocess.run([python, "-m", "runner", *DEMO], cwd=folder, env=environment, check=True, capture_output=True)
    wall = time.monotonic() - began
    asking = 0.0
    for file in folder.rglob("answers.jsonl"):
        if file.parent.name == "artifacts":
            continue
        timings = [json.loads(line)["timing"] for line in file.read_text(encoding="utf-8").splitlines()]
        asking += max(one["sent_at"] + one["latency_s"] for one in timings) - min(one["sent_at"] for one in timings)
    return asking / wall


def main() -> int:
    """Measure and print; return 0 where each limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="a checkout of the build to compare with, with its .venv")
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pythons = ({"before": builds.python(given.before)} if given.before else {}) | {"now": sys.executable}
    folder = Path(tempfile.mkdtemp(prefix="waits-"))
    try:
        limits = endpoint_limits(pythons, given.questions, given.rounds, folder)
        shares: dict[str, list[float]] = {name: [] for name in pythons}
        for number in range(given.rounds):
            for name, python in pythons.items():
                shares[name].append(demo_share(python, folder / f"demo-{name}-{number}"))
                print(f"{name}: an engine answers in {shares[name][-1]:.2f} of a sweep of four engines", flush=True)
        share = statistics.median(shares["now"])
        limits.append(Limit("share of a sweep of four engines in which one answers", share, ">=", SHARE))
        return tell(limits)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
