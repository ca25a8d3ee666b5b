"""`python -m runner.reading SWEEP`: how much of a score comes from reading, by jobs that could not see the page.

A job is held against those that differ from it only in `dataset.blind` (experiment=blind_baseline). What a model scores
without the picture, or with another document's, it did not read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metrics.paired import Paired, compare
from runner.compare.jobs import Scored, find_jobs
from runner.run import NOT_DECISIVE

if TYPE_CHECKING:
    from metrics.api import Array, Metric

APART = ("concurrency", *NOT_DECISIVE)


@dataclass(frozen=True)
class Reading:
    """A job against one that was blind, by one measure, paired on the samples that both have scored.

    The gain is what seeing the page is worth, in units of the measure, positive where it helps. `share` puts it in
    relation: for a score (higher is better) the part of it that blindness loses, (seeing - blind) / seeing; for an
    error rate the part of the blind error that seeing removes, (blind - seeing) / blind. None where that divides by 0.
    """

    job: str
    blind: str
    paired: Paired

    @property
    def share(self) -> float | None:
        """Return the part of the figure that comes from reading."""
        whole = self.paired.value_candidate if self.paired.measure.better == "higher" else self.paired.value_baseline
        return self.paired.gain / whole if whole > 0 else None

    def __str__(self) -> str:
        """Return it for people."""
        one = self.paired
        of = "the score" if one.measure.better == "higher" else "the blind error, removed by reading"
        share = "" if self.share is None else f", {self.share + 0.0:.0%} of {of}"  # + 0.0: no -0%
        interval = ""
        if one.ci_low is not None and one.ci_high is not None:
            sign = 1 if one.measure.better == "higher" else -1
            low, high = sorted((sign * one.ci_low + 0.0, sign * one.ci_high + 0.0))
            interval = f" [{low:+.3f}, {high:+.3f}]"
        return (
            f"{self.job}: {one.measure.name} {one.value_candidate:.3f}, with {self.blind} {one.value_baseline:.3f}: "
            f"reading is worth {one.gain + 0.0:+.3f}{interval}{share} "
            f"({one.samples} samples, {one.documents} documents)"
        )


def readings(jobs: Sequence[Scored], measures: Sequence[str] = ()) -> list[Reading]:
    """Return every job that saw, held against its blind twins, by these measures or by all of quality."""
    found = []
    seeing = [job for job in jobs if _blind(job) == "none"]
    for job in seeing:
        key = _key(job)
        twins = [other for other in jobs if _blind(other) != "none" and _key(other) == key]
        for twin in twins:
            found += list(_against(job, twin, measures))
    return found


def _against(job: Scored, twin: Scored, measures: Sequence[str]) -> Iterator[Reading]:
    for name, (_, metric, measure) in job.measures.items():
        wanted = name in measures if measures else measure.group == "quality" and measure.better != "neither"
        if not wanted or name not in twin.measures:
            continue
        base, run = twin.run(name), job.run(name)
        if base.stats.keys() & run.stats.keys():
            yield Reading(job.result.name, _blind(twin), compare(measure, _Combine(metric, name), base, run))


@dataclass(frozen=True)
class _Combine:
    metric: Metric
    name: str

    def __call__(self, totals: Array) -> Array:
        return self.metric.combine(self.name, totals)


def _blind(job: Scored) -> str:
    return str(job.result.config["dataset"].get("blind", "none"))


def _key(job: Scored) -> str:
    """Name everything that twins share."""
    config = {name: value for name, value in job.result.config.items() if name not in APART}
    config["dataset"] = {
        name: value for name, value in config["dataset"].items() if name not in ("blind", "blind_seed")
    }
    return json.dumps(config, sort_keys=True, ensure_ascii=False)


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
