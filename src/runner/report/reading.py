"""How much of a score comes from reading: a job against those that could not see the page (`dataset.blind`).

What a model scores without the picture, or with another document's, it did not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metrics.paired import Paired, ScoredRun, compare
from runner.config import decisive

if TYPE_CHECKING:
    from metrics.api import Array, Measure, Metric


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

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the interval of the gain."""
        if self.paired.ci_low is None or self.paired.ci_high is None:
            return None
        sign = 1 if self.paired.measure.better == "higher" else -1
        low, high = sorted((sign * self.paired.ci_low + 0.0, sign * self.paired.ci_high + 0.0))
        return low, high

    def __str__(self) -> str:
        """Return it for people."""
        one = self.paired
        of = "the score" if one.measure.better == "higher" else "the blind error, removed by reading"
        share = "" if self.share is None else f", {self.share + 0.0:.0%} of {of}"  # + 0.0: no -0%
        interval = "" if self.interval is None else f" [{self.interval[0]:+.3f}, {self.interval[1]:+.3f}]"
        return (
            f"{self.job}: {one.measure.name} {one.value_candidate:.3f}, with {self.blind} {one.value_baseline:.3f}: "
            f"reading is worth {one.gain + 0.0:+.3f}{interval}{share} "
            f"({one.samples} samples, {one.documents} documents)"
        )


def against(
    job: str, blind: str, measure: Measure, metric: Metric, base: ScoredRun | None, run: ScoredRun | None
) -> Reading | None:
    """Hold a job against its blind twin, paired on the samples that both have scored; None where there are none."""
    if base is None or run is None or not base.stats.keys() & run.stats.keys():
        return None
    return Reading(job, blind, compare(measure, _Combine(metric, measure.name), base, run))


@dataclass(frozen=True)
class _Combine:
    metric: Metric
    name: str

    def __call__(self, totals: Array) -> Array:
        return self.metric.combine(self.name, totals)


def blindness(config: Mapping[str, Any]) -> str:
    """Return what a job could see: `none` where it saw its own page."""
    return str(config["dataset"].get("blind", "none"))


def twins_key(config: Mapping[str, Any]) -> str:
    """Name everything that a job and its blind twins share."""
    kept = decisive.only(config, but=["concurrency"])
    kept["dataset"] = {name: value for name, value in kept["dataset"].items() if name not in ("blind", "blind_seed")}
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
