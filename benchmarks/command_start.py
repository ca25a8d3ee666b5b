"""What the command line costs before it does anything: CPU of whole commands beside `import hydra`, in turns.

    python benchmarks/command_start.py [--turns 5]

Medians of ratios, so that a slow machine gives the same figures. Half a minute.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

from parts.limits import Limit, tell

COMMANDS = {
    "--help": ("-m", "runner", "--help"),
    "--cfg job": ("-m", "runner", "--cfg", "job"),
}
BESIDE = ("-c", "import hydra")
BOUND = 2.5


def cpu(*arguments: str) -> float:
    """Return the CPU seconds of one Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure the commands and `import hydra` in turns; return 0 where each limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    for arguments in COMMANDS.values():  # compiled modules are written once
        cpu(*arguments)
    limits = []
    for name, arguments in COMMANDS.items():
        ratios = [cpu(*arguments) / cpu(*BESIDE) for _ in range(turns)]
        limits.append(Limit(f"CPU of {name} beside import hydra", statistics.median(ratios), "<=", BOUND))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
