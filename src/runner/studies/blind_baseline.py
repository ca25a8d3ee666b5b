"""`python -m runner.reading SWEEP`: how much of a score comes from reading, by jobs that could not see the page.

A job is held against those that differ from it only in `dataset.blind` (experiment=blind_baseline).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.report.reading import Reading, against, blindness, twins_key
from runner.studies.compare.jobs import Scored, find_jobs


def readings(jobs: Sequence[Scored], measures: Sequence[str] = ()) -> list[Reading]:
    """Return every job that saw, held against its blind twins, by these measures or by all of quality."""
    seeing = [job for job in jobs if blindness(job.result.config) == "none"]
    blind = [job for job in jobs if blindness(job.result.config) != "none"]
    return [
        reading
        for job in seeing
        for twin in blind
        if twins_key(job.result.config) == twins_key(twin.result.config)
        for reading in _against(job, twin, measures)
    ]


def _against(job: Scored, twin: Scored, measures: Sequence[str]) -> Iterator[Reading]:
    for name, (_, metric, measure) in job.measures.items():
        wanted = name in measures if measures else measure.group == "quality" and measure.better != "neither"
        if wanted and name in twin.measures:
            blind = blindness(twin.result.config)
            found = against(job.result.name, blind, measure, metric, twin.run(name), job.run(name))
            if found is not None:
                yield found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what reading is worth. Return 0, or 2 where there is nothing to hold against each other."""
    parser = argparse.ArgumentParser(prog="python -m runner.reading", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of sweeps, or of jobs")
    parser.add_argument("--measure", action="append", default=[], help="such as exact_match; default: all of quality")
    given = parser.parse_args(arguments)
    found = readings(find_jobs(given.folders), given.measure)
    for one in found:
        print(one)  # noqa: T201
    if not found:
        what = "no job here differs from another only in dataset.blind: python -m runner experiment=blind_baseline"
        print(what, file=sys.stderr)  # noqa: T201
    return 0 if found else 2


if __name__ == "__main__":
    sys.exit(main())
