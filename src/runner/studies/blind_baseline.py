"""`python -m runner.reading SWEEP`: how much of a score comes from reading the page, measured by blind jobs.

Each job is compared with its blind twins: the jobs that differ from it only in `dataset.blind`
(experiment=blind_baseline). What a model scores without the picture, or with another document's, it did not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrics.paired import NothingToCompare, Paired, ScoredRun, compare
from runner.base import command_line
from runner.base.errors import Problem, Refused
from runner.config import decisive
from runner.studies.compare.jobs import Scored, find_jobs

if TYPE_CHECKING:
    from metrics.api import Array, Measure, Metric


@dataclass(frozen=True)
class ReadingGain:
    """A job compared with its blind twin by one measure, paired on the samples that both have scored.

    The gain is the improvement from seeing the page, in units of the measure. `share` is the relative gain. For a score
    (higher is better) it is the part that is lost when blind, (seeing - blind) / seeing. For an error rate it is the
    part of the blind error that seeing removes, (blind - seeing) / blind. It is None if the divisor is 0.
    """

    job: str
    blind: str
    paired: Paired

    @property
    def share(self) -> float | None:
        """Return the relative gain; see the class."""
        whole = self.paired.value_candidate if self.paired.measure.better == "higher" else self.paired.value_baseline
        return self.paired.gain / whole if whole > 0 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the confidence interval of the gain."""
        if self.paired.ci_low is None or self.paired.ci_high is None:
            return None
        sign = 1 if self.paired.measure.better == "higher" else -1
        low, high = sorted((sign * self.paired.ci_low + 0.0, sign * self.paired.ci_high + 0.0))
        return low, high

    def __str__(self) -> str:
        """Return the gain as a line of text."""
        paired = self.paired
        of = "the score" if paired.measure.better == "higher" else "the blind error, removed by reading"
        share = "" if self.share is None else f", {self.share + 0.0:.0%} of {of}"  # + 0.0: no -0%
        interval = "" if self.interval is None else f" [{self.interval[0]:+.3f}, {self.interval[1]:+.3f}]"
        return (
            f"{self.job}: {paired.measure.name} {paired.value_candidate:.3f}, "
            f"with {self.blind} {paired.value_baseline:.3f}: "
            f"reading is worth {paired.gain + 0.0:+.3f}{interval}{share} "
            f"({paired.samples} samples, {paired.documents} documents)"
        )


def against(
    job: str, blind: str, measure: Measure, metric: Metric, base: ScoredRun | None, run: ScoredRun | None
) -> ReadingGain | None:
    """Compare a job with its blind twin, paired on the samples that both have scored; None if there are none."""
    if base is None or run is None or not base.stats.keys() & run.stats.keys():
        return None
    try:
        return ReadingGain(job, blind, compare(measure, _Combine(metric, measure.name), base, run))
    except NothingToCompare:
        return None


@dataclass(frozen=True)
class _Combine:
    metric: Metric
    name: str

    def __call__(self, totals: Array) -> Array:
        return self.metric.combine(self.name, totals)


def blindness(config: Mapping[str, Any]) -> str:
    """Return `dataset.blind` of a job: `none` if it saw its own page."""
    return str(config["dataset"].get("blind", "none"))


def twins_key(config: Mapping[str, Any]) -> str:
    """Return a key of all settings that decide answers except `dataset.blind`: equal for a job and its blind twins."""
    shared = decisive.only(config, but=["concurrency"])
    shared["dataset"] = {
        name: value for name, value in shared["dataset"].items() if name not in ("blind", "blind_seed")
    }
    return json.dumps(shared, sort_keys=True, ensure_ascii=False, default=str)


def reading_gains(jobs: Sequence[Scored], measures: Sequence[str] = ()) -> list[ReadingGain]:
    """Compare every job that saw its pages with its blind twins, by these measures or by all quality measures."""
    seeing = [job for job in jobs if blindness(job.result.config) == "none"]
    blind = [job for job in jobs if blindness(job.result.config) != "none"]
    return [
        reading
        for job in seeing
        for twin in blind
        if twins_key(job.result.config) == twins_key(twin.result.config)
        for reading in _against(job, twin, measures)
    ]


def _against(job: Scored, twin: Scored, measures: Sequence[str]) -> Iterator[ReadingGain]:
    for name, (_, metric, measure) in job.measures.items():
        wanted = name in measures if measures else measure.group == "quality" and measure.better != "neither"
        if wanted and name in twin.measures:
            blind = blindness(twin.result.config)
            gain = against(job.result.name, blind, measure, metric, twin.run(name), job.run(name))
            if gain is not None:
                yield gain


def main(arguments: Sequence[str]) -> int:
    """Print the gains. Raise Refused if no job has a blind twin."""
    parser = command_line.parser("reading", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of sweeps, or of jobs")
    parser.add_argument("--measure", action="append", default=[], help="such as exact_match; default: all of quality")
    options = parser.parse_args(arguments)
    gains = reading_gains(find_jobs(options.folders), options.measure)
    for gain in gains:
        print(gain)  # noqa: T201
    if not gains:
        what = "no job here differs from another only in dataset.blind"
        where = ", ".join(map(str, options.folders))
        raise Refused(Problem(what, where, "python -m runner -m experiment=blind_baseline"))
    return 0
