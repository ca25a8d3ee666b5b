"""`python -m runner.report FOLDER`: shows a sweep's table again and writes its page anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runner.report import page, table
from runner.report.results import collect


def main() -> int:
    """Write report.html for the jobs found at or below a folder."""
    parser = argparse.ArgumentParser(prog="python -m runner.report", description=__doc__)
    parser.add_argument("folder", type=Path, help="a sweep's folder, such as multirun/2026-01-31/12-00-00")
    folder = parser.parse_args().folder
    results = collect(folder)
    if not results:
        print(f"{folder}: no finished job in there (no metrics.json)", file=sys.stderr)  # noqa: T201
        return 2
    table.show(results)
    report = folder / "report.html"
    report.write_text(page.render(results, title="/".join(folder.resolve().parts[-2:])), encoding="utf-8")
    table.say(f"report:  {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
