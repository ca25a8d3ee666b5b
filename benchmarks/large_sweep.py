"""What 100,000 questions cost the runner: its memory, and whether any step grows faster than the questions do.

    python benchmarks/large_sweep.py [--sizes 12500,25000,50000,100000] [--concurrency 64] [--image-kb 20]

A local endpoint answers at once. `python -m runner` asks it that many questions about 1,000 pictures, scores them by
the usual metrics, logs them to MLflow on SQLite and writes the report. The process is watched from outside: its
resident memory (VmRSS, VmHWM), and its CPU time between the lines in which it says what it is doing; CPU, since the
clock on the wall counts what else runs on the machine. A step is measured at each size: n log n allows it, from the
smallest to the largest, a growth of n log n and a quarter for noise. About 8 minutes and 400 MB of disk.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from parts import endpoint
from parts.limits import Limit, tell

PICTURES, QUESTIONS_EACH = 1000, 4  # questions on a document; 25,000 documents show 1,000 different pictures
MEMORY_MB, GROWTH_MB, MLFLOW_S = 500.0, 100.0, 30.0
NOISE = 1.25
# What the runner says when a step begins; what it prints to standard output comes after the upload.
STEPS = {
    "ask": re.compile(r": asking$"),
    "write answers": re.compile(r": \d+ of \d+ in \d+ s"),
    "score": re.compile(r": scoring$"),
    "MLflow": re.compile(r": uploading to MLflow$"),
}
LAST = "report"


@dataclass
class Watched:
    """What was seen of one run: when each step began (wall and CPU seconds), and memory in MB by share of answers."""

    samples: int
    began: dict[str, tuple[float, float]] = field(default_factory=dict)
    ended: tuple[float, float] = (0.0, 0.0)
    memory: list[tuple[int, float]] = field(default_factory=list)  # answers so far, resident MB
    peaks: dict[str, float] = field(default_factory=dict)  # the highest resident MB in each step

    def spent(self, step: str) -> tuple[float, float]:
        """Return wall and CPU seconds of a step."""
        points = [*self.began.values(), self.ended]
        number = list(self.began).index(step)
        return tuple(after - before for before, after in zip(points[number], points[number + 1], strict=True))  # type: ignore[return-value]

    def at(self, share: float) -> float:
        """Return the resident MB when this share of the answers had come."""
        return next((mb for count, mb in self.memory if count >= share * self.samples), self.memory[-1][1])


def rows(folder: Path, samples: int, names: list[str]) -> Path:
    """Write the questions: four on each document, of five classes; every question differs from the others."""
    path = folder / f"rows-{samples}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(samples):
            document = number // QUESTIONS_EACH
            row = {
                "id": str(number),
                "images": [names[document % len(names)]],
                "question": f"Документ {document}. Напиши значение поля номер {number % QUESTIONS_EACH}.",
                "references": [endpoint.ANSWER if number % 5 else "Петров"],
                "document": f"d{document}",
                "doc_class": ("паспорт", "счёт", "акт", "договор", "чек")[document % 5],
                "field": f"поле {number % QUESTIONS_EACH}",
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def watch(url: str, folder: Path, samples: int, questions: Path, concurrency: int) -> Watched:
    """Run the whole command once, in a folder of its own, and watch it."""
    folder.mkdir()
    words = ["model=openai", "model.name=model", f"backend.base_url={url}/v1", "dataset=jsonl", "warmup=0"]
    words += [f"dataset.path={questions}", f"concurrency={concurrency}", "backend.api_key_variable=OPENAI_API_KEY"]
    environment = os.environ | {
        "RUNNER_STORE": str(folder / "store"),
        "OPENAI_API_KEY": "k" * 32,
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
    }
    seen, said = Watched(samples), []
    endpoint.account(url, reset=True)
    with subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        runner = psutil.Process(process.pid)

        def begins(step: str) -> None:
            used = runner.cpu_times()
            seen.began.setdefault(step, (time.monotonic(), used.user + used.system))

        def listen() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                for step, sign in STEPS.items():
                    if sign.search(line.rstrip()):
                        begins(step)

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if line.strip():
                    begins(LAST)

        readers = [threading.Thread(target=one, daemon=True) for one in (listen, read)]
        begins("start")
        for one in readers:
            one.start()
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                mb, used = runner.memory_info().rss / 1e6, runner.cpu_times()
                seen.ended = (time.monotonic(), used.user + used.system)
                step = next(reversed(seen.began))
                seen.peaks[step] = max(mb, seen.peaks.get(step, 0.0))
                if step == "ask":
                    seen.memory.append((endpoint.account(url)["count"], mb))
            time.sleep(0.05)
        for one in readers:
            one.join()
    if process.returncode or list(seen.began) != ["start", *STEPS, LAST]:
        raise SystemExit(
            f"the runner ended with {process.returncode} after {list(seen.began)}\n{''.join(said)[-3000:]}"
        )
    return seen


def show(runs: list[Watched]) -> None:
    """Print CPU ms a sample of each step at each size, and the memory of the largest."""
    print(f"{'CPU ms a sample':16}" + "".join(f"{run.samples:>10,}" for run in runs) + f"{'wall s of the last':>20}")
    for step in runs[0].began:
        spent = "".join(f"{run.spent(step)[1] / run.samples * 1000:10.3f}" for run in runs)
        print(f"{step:16}{spent}{runs[-1].spent(step)[0]:20.1f}")
    last = runs[-1]
    shares = ", ".join(f"{last.at(share):.0f} at {share:.0%}" for share in (0.05, 0.25, 0.5, 0.75, 1.0))
    print(f"resident MB while {last.samples:,} were asked: {shares}")
    print("highest resident MB: " + ", ".join(f"{step} {mb:.0f}" for step, mb in last.peaks.items()), flush=True)


def limits(runs: list[Watched]) -> list[Limit]:
    """Return what must hold, of the largest size and of the growth to it."""
    first, last = runs[0], runs[-1]
    told = f"of {last.samples:,} questions"
    found = [
        Limit(f"MB of memory, the runner's peak {told}", max(last.peaks.values()), "<", MEMORY_MB),
        Limit(f"MB more from a quarter {told} to the last", last.at(1.0) - last.at(0.25), "<=", GROWTH_MB),
        Limit(f"seconds of MLflow's logging {told}", last.spent("MLflow")[0], "<", MLFLOW_S),
    ]
    if len(runs) > 1:
        n_log_n = last.samples * math.log(last.samples) / (first.samples * math.log(first.samples))
        for step in (*STEPS, LAST):
            grown = last.spent(step)[1] / first.spent(step)[1]
            found.append(Limit(f"times the CPU of {first.samples:,} questions: {step}", grown, "<=", n_log_n * NOISE))
    return found


def main() -> int:
    """Measure each size, print, and return 1 where something falls short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="12500,25000,50000,100000")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--image-kb", type=int, default=20)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="large-sweep-"))
    try:
        names = endpoint.pictures(folder, PICTURES, arguments.image_kb)
        with endpoint.running(0) as url:
            runs = []
            for size in map(int, arguments.sizes.split(",")):
                runs.append(watch(url, folder / str(size), size, rows(folder, size, names), arguments.concurrency))
                shutil.rmtree(folder / str(size))
        show(runs)
        return tell(limits(runs))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
