"""All our own costs beside their limits, each benchmark in a process of its own, and one table at the end.

    python benchmarks [NAME …]          make bench; a name is that of a script, without .py

Takes 40 to 65 minutes on two cores and wants a machine that does nothing else: most figures are ratios of two things
measured in turns, but a machine with more work than cores moves those, too. Ends with 0 only if every limit holds: what
could not be measured (an engine that can't be built here) is listed as that, and does not pass.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from parts.limits import PASS, SHORT, UNKNOWN

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "__main__")


def run(name: str) -> list[str]:
    """Run one benchmark, show what it says, and return its lines about limits; one that it ended without is added."""
    began, lines = time.monotonic(), []
    print(f"== {name}", flush=True)
    command = [sys.executable, str(HERE / f"{name}.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith((PASS, SHORT, UNKNOWN)):
                lines.append(line.rstrip())
    if process.returncode and all(line.startswith(PASS) for line in lines):
        lines.append(f"{UNKNOWN:13} {name}: it ended with {process.returncode} before its figures were complete")
    print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)
    return lines


def main() -> int:
    """Run the benchmarks that are named, or all; return 0 only if every limit holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all unless given")
    names = parser.parse_args().names or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    lines = [line for name in names for line in run(name)]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    held = sum(line.startswith(PASS) for line in lines)
    print("\n".join(["", *lines, f"{held} of {len(lines)} limits hold; load average now {load}"]))
    return int(held < len(lines))


if __name__ == "__main__":
    sys.exit(main())
