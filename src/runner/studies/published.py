"""`python -m runner.published SWEEP`: published figures beside one's own, where the same thing was measured."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runner.base.errors import Refused
from runner.jobs.results import collect
from runner.report.published import show


def main(arguments: Sequence[str] | None = None) -> int:
    """Print published figures beside those of finished jobs. Return 0, or 2 where there is nothing to compare with."""
    parser = argparse.ArgumentParser(prog="python -m runner.published", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of sweeps, or of jobs")
    given = parser.parse_args(arguments)
    try:
        if show([result for folder in given.folders for result in collect(folder)]):
            return 0
    except Refused as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    print("no job here names a file of published figures (published=FILE)", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
