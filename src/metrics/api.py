"""The contracts of this package: what a metric takes and returns. Standard library only."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One answer to be scored.

    `document` is the unit by which statistics are clustered. `prediction` is None if the generation failed: such a case
    is unscored, never 0. An empty string is a real answer. `references` are the accepted answers, possibly none. An
    empty `doc_class` or `field` means that the dataset has none. `rival` is another model's answer to the same
    question, for pairwise judges. `facts` holds everything else known about the generation (`failure`: a short reason
    why there is no prediction; `latency_s`, `finish_reason`, `answerable` ...; `warp`: where places of the clean page
    are on the one that was shown, None if that is not known, absent if the clean one was shown: metrics.boxes.moved).
    """

    sample_id: str
    document: str
    prediction: str | None
    references: tuple[str, ...]
    repeat: int = 0
    doc_class: str = ""
    field: str = ""
    question: str = ""
    images: tuple[str, ...] = ()
    rival: str | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse anything but text: a table's NaN or number would be scored as if it were an answer."""
        if self.prediction is not None and not isinstance(self.prediction, str):
            raise TypeError(f"case {self.sample_id!r}: the prediction is {self.prediction!r}, not text or None")
        if not isinstance(self.references, tuple):
            raise TypeError(f"case {self.sample_id!r}: references are {self.references!r}, not a tuple of text")
        for reference in self.references:
            if not isinstance(reference, str):
                raise TypeError(f"case {self.sample_id!r}: a reference is {reference!r}, not text")


@dataclass(frozen=True, slots=True)
class Score:
    """One number for one case, or the reason why there is none.

    `name` is the measure (`cer`). `part` names the part of a structured answer that was scored (empty: all of it).
    `value=None` means *unscored* and needs a `reason`. `stats` are additive: their sum over cases, passed to
    `Metric.combine`, gives the aggregate (edits and reference length for CER, n-gram counts for BLEU). Corpus figures
    and their confidence intervals are therefore computed from sums. `detail` says for people what was compared.
    """

    sample_id: str
    repeat: int
    name: str
    value: float | None
    stats: tuple[float, ...] = ()
    reason: str = ""
    part: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        """Refuse an unscored case without a reason and a scored one without a number or statistics."""
        if self.value is None:
            if not self.reason:
                raise ValueError(f"{self.name} of {self.sample_id!r}: an unscored case needs a reason")
        elif not math.isfinite(self.value):
            raise ValueError(f"{self.name} of {self.sample_id!r}: {self.value} is not a score; use None with a reason")
        elif not self.stats:
            raise ValueError(f"{self.name} of {self.sample_id!r}: a score needs its additive statistics")


@dataclass(frozen=True, slots=True)
class Measure:
    """One named figure that a metric yields, and what a reader must know to use it.

    `name` becomes part of a tracked metric's name: letters, digits, `_`, `-` and `.`. `aggregate` is how scores are
    aggregated: `corpus` (ratio of sums) or `mean` (mean over samples). `low` and `high` bound the value of one sample
    and of the aggregate; `high=None` and `low=-inf` mean unbounded. `worst` is for error rates without an upper bound:
    the value of an empty answer, which confidence bounds take as the worst value of documents that were not observed.
    `source` is the paper. `group` is the first part of the tracked name: `quality`, or `text` for measures that
    describe an answer without judging it; those have `better="neither"`. `by_key`: the statistics are those of each key
    of the references in turn, so that two datasets may differ in how many there are; zeros at the end change nothing.
    """

    name: str
    better: Literal["higher", "lower", "neither"]
    aggregate: Literal["corpus", "mean"]
    low: float
    high: float | None
    formula: str
    source: str = ""
    group: str = "quality"
    worst: float | None = None
    by_key: bool = False

    def __post_init__(self) -> None:
        """Refuse a name that could not be tracked."""
        for name in (self.name, self.group):
            if not re.fullmatch(r"\w[\w.\-]*", name):
                raise ValueError(f"measure {name!r}: only letters, digits, '_', '-' and '.' are allowed in a name")


@runtime_checkable
class Metric(Protocol):
    """Turns cases into scores. A metric may implement these properties as plain attributes."""

    @property
    def measures(self) -> Sequence[Measure]:
        """The measures that `score` yields; one metric may have several."""
        ...

    @property
    def env(self) -> str:
        """The environment that the metric needs (`current` for this interpreter)."""
        ...

    @property
    def version(self) -> str:
        """Everything that decides the numbers: definition, normalisation, library. Other versions aren't comparable."""
        ...

    def score(self, cases: Sequence[Case]) -> Iterable[Score]:
        """Yield a score for each case and measure in any order, including unscored ones."""
        ...

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed statistics, shape (..., k), into the aggregate of measure `name`, shape (...).

        The result is NaN where the aggregate is undefined (nothing was scored).
        """
        ...


@runtime_checkable
class MetricOfOthers(Metric, Protocol):
    """A metric that makes its scores of those of the other metrics; it is asked after them."""

    def needs(self, measures: Sequence[Measure]) -> tuple[str, ...]:
        """Return which of the other metrics' measures it takes. Raise ValueError where one that it needs is missing."""
        ...

    def score_after(
        self, cases: Sequence[Case], scores: Iterable[Score], measures: Sequence[Measure]
    ) -> Iterable[Score]:
        """Yield what `score` would, from the scores of the measures that `needs` named, of all other `measures`."""
        ...
