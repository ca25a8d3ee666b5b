"""What the command line costs before it does anything: CPU of whole commands beside `import hydra`, in turns.

    python benchmarks/command_start.py [--turns 5] [--before FOLDER]

Medians of ratios, so that a slow machine gives the same figures. With `--before`, a checkout of an earlier build, its
ratios are shown beside. Half a minute.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from parts import builds
from parts.limits import Limit, tell

COMMANDS = {
    "--help": (("-m", "runner", "--help"), 2.0),
    "--help model": (("-m", "runner", "--help", "model"), 2.0),
    "--cfg job": (("-m", "runner", "--cfg", "job"), 2.5),
}
BESIDE = ("-c", "import hydra")


def cpu(arguments: tuple[str, ...], checkout: Path = builds.HERE) -> float:
    """Return the CPU seconds of one Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = builds.environment(checkout)
    subprocess.run([builds.python(checkout), *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure the commands and `import hydra` in turns; return 0 where each limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    builds.add_option(parser)
    options = parser.parse_args()
    limits = []
    for name, (arguments, bound) in COMMANDS.items():
        checkouts = [builds.HERE, *([options.before] if options.before and name != "--help model" else [])]
        for checkout in checkouts:
            cpu(arguments, checkout)  # compiled modules are written once
        ratios = [[cpu(arguments, checkout) / cpu(BESIDE) for checkout in checkouts] for _ in range(options.turns)]
        ours, *theirs = map(statistics.median, zip(*ratios, strict=True))
        for before in theirs:
            print(f"{name}: {before:.2f} times import hydra before, {ours:.2f} now", flush=True)
        limits.append(Limit(f"CPU of {name} beside import hydra", ours, "<=", bound))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
