"""What following an engine's memory costs: the CPU of the watchdog above it, as a share of one core.

    python benchmarks/memory_sampler.py [--seconds 30]

The watchdog reads the tree's RSS every 50 ms and its PSS, which walks all pages, at new maxima and every few seconds.
It is measured above an idle HF engine, above a tree of three processes that hold 2.5 GiB, and above one that reaches a
new maximum all the time, up to 2.5 GiB. Ends with 1 where one takes more than 2% of a core. Two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from parts.limits import Limit, tell

from backends.api import EngineSpec
from backends.hf import HfBackend
from backends.process.server import start
from backends.process.supervised import SupervisedProcess

ROOT = Path(__file__).resolve().parents[1]
SHARE = 0.02
GIB = 2.5
SETTLED_S = 5.0
# Page by page, so that every page is really there; PSS is about pages.
HOLDS = f"""
import subprocess, sys, time
own = [sys.executable, "-c", "import time\\nheld = bytearray({int(GIB * 2**30 / 3)})\\n"
       "for at in range(0, len(held), 4096): held[at] = 1\\nprint(flush=True)\\ntime.sleep(600)"]
for one in [subprocess.Popen(own, stdout=subprocess.PIPE) for _ in range(3)]:
    one.stdout.readline()
print("ready", flush=True)
time.sleep(600)
"""
GROWS = f"""
import time
print("ready", flush=True)
while True:
    held = []
    while len(held) < {int(GIB * 2**10 / 32)}:
        block = bytearray(32 * 2**20)
        for at in range(0, len(block), 4096): block[at] = 1
        held.append(block)
        time.sleep(0.1)
"""


def spent(watchdog: int, seconds: float) -> float:
    """Return the share of a core that a watchdog takes over so many seconds."""
    process = psutil.Process(watchdog)
    before, began = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after, took = process.cpu_times(), time.monotonic() - began
    return (after.user + after.system - before.user - before.system) / took


def above_engine(seconds: float, folder: Path) -> tuple[float, float]:
    """Return the share taken above an idle engine with the demo model, and its resident GiB."""
    path = ROOT / "assets" / "demo_models" / "demo_s" / "bf16"
    engine = start(HfBackend(), EngineSpec("hf", str(path), "bench"), log_path=folder / "engine.log", timeout_s=300)
    try:
        mark = engine.mark()
        watchdogs = [one for one in psutil.Process().children() if "backends.process.watchdog" in one.cmdline()]
        time.sleep(SETTLED_S)
        share = spent(watchdogs[0].pid, seconds)
        engine.since(mark)
        return share, held(watchdogs[0])
    finally:
        engine.close()


def above(program: str, seconds: float, folder: Path) -> tuple[float, float]:
    """Return the share taken above a program, and the resident GiB of its tree at the end."""
    log = folder / "program.log"
    log.unlink(missing_ok=True)
    process = SupervisedProcess([sys.executable, "-c", program], {}, log)
    try:
        while b"ready" not in log.read_bytes():
            time.sleep(0.1)
        process.mark()
        time.sleep(SETTLED_S)
        share = spent(process.watchdog_pid, seconds)
        return share, held(psutil.Process(process.watchdog_pid))
    finally:
        process.stop(0.0)


def held(watchdog: psutil.Process) -> float:
    """Return the resident GiB of what a watchdog looks after."""
    return sum(one.memory_info().rss for one in watchdog.children(recursive=True)) / 2**30


def main() -> int:
    """Measure the three, print, and return 1 where one takes too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases: dict[str, Callable[[], tuple[float, float]]] = {
            "an idle HF engine": lambda: above_engine(seconds, folder),
            "three processes that hold memory": lambda: above(HOLDS, seconds, folder),
            "a process that grows": lambda: above(GROWS, seconds, folder),
        }
        limits = []
        for what, measure in cases.items():
            share, gib = measure()
            print(f"{what:36}{share:7.2%} of a core, {gib:.1f} GiB resident", flush=True)
            limits.append(Limit(f"share of a core that the memory sampler takes above {what}", share, "<=", SHARE))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
