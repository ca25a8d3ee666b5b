"""Measures whose values another program computed: they are read from columns of the table of answers.

stored: {columns: {perplexity: Perplexity, judge_ratio: {column: Candidate_Score, divide_by: Reference_Score,
                                                         valid: [0, 10], better: higher}}}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from metrics.api import Case, Measure, Score
from metrics.normalisation import label
from metrics.numerals import figure, has_decimal_comma
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array


@dataclass(frozen=True, slots=True)
class _ColumnSource:
    """Where a measure's values come from: a column, or the ratio of two. Values outside `valid` are outliers."""

    column: str
    divide_by: str | None = None
    valid: tuple[float, float] | None = None
    better: Literal["higher", "lower"] = "higher"

    @classmethod
    def of(cls, measure: str, option: object) -> _ColumnSource:
        """Parse an entry of the configuration: a column's name, or options by name."""
        if isinstance(option, str):
            return cls(label(option))
        if not isinstance(option, Mapping) or not isinstance(option.get("column"), str):
            raise TypeError(
                f"columns.{measure} is {option!r}: name a column, such as Perplexity or {{column: Perplexity}}"
            )
        options = dict(option)
        if unknown := sorted(set(options) - {"column", "divide_by", "valid", "better"}):
            raise ValueError(f"columns.{measure} has unknown options: {', '.join(unknown)}")
        if options.get("better", "higher") not in ("higher", "lower"):
            raise ValueError(f"columns.{measure}.better is {options['better']!r}; valid: higher, lower")
        # Headers are read in the same way (runner.datasets.text_files, sheets).
        options |= {name: label(str(options[name])) for name in ("column", "divide_by") if options.get(name)}
        valid = options.get("valid")
        if valid is not None:
            numbers = isinstance(valid, Sequence) and len(valid) == 2 and all(isinstance(n, int | float) for n in valid)
            if not numbers or valid[0] > valid[1]:
                raise ValueError(f"columns.{measure}.valid is {valid!r}; give the lowest and the highest, [0, 10]")
            options["valid"] = (float(valid[0]), float(valid[1]))
        return cls(**options)

    def __str__(self) -> str:
        """Return the definition, as part of the metric's version."""
        ratio = f" / {self.divide_by}" if self.divide_by else ""
        bounds = f" within [{self.valid[0]:g}, {self.valid[1]:g}]" if self.valid else ""
        return f"{self.column}{ratio}{bounds}"


class StoredColumns:
    """The mean of each configured column. `Case.facts["columns"]` holds the cells of a case, as text by column.

    A case is unscored, with the reason, if its cell is empty, not a number, or outside `valid`.
    """

    env = "current"

    def __init__(self, columns: Mapping[str, Any] | None = None) -> None:
        self._columns = {str(name): _ColumnSource.of(str(name), option) for name, option in dict(columns or {}).items()}
        self.measures = tuple(
            Measure(name, source.better, "mean", -math.inf, None, f"mean of the stored column {source}")
            for name, source in self._columns.items()
        )

    @property
    def version(self) -> str:
        """The columns and their valid ranges."""
        return "2 " + "; ".join(f"{name}={source}" for name, source in sorted(self._columns.items()))

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield the stored figure of each case and measure."""
        named = {column for source in self._columns.values() for column in (source.column, source.divide_by) if column}
        texts = {name: [(case.facts.get("columns") or {}).get(name, "") for case in cases] for name in named}
        commas = frozenset(name for name, column in texts.items() if has_decimal_comma(column))
        for case in cases:
            cells = case.facts.get("columns") or {}
            for name, source in self._columns.items():
                value, reason = _value(source, cells, commas)
                stats = () if value is None else (value, 1.0)
                yield Score(case.sample_id, case.repeat, name, value, stats, reason)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)


def _value(source: _ColumnSource, cells: Mapping[str, str], commas: frozenset[str]) -> tuple[float | None, str]:
    """Return (value, "") or (None, reason). `commas` are the columns whose decimal mark is a comma."""
    numbers = []
    for column in (source.column, *([source.divide_by] if source.divide_by else [])):
        text = cells.get(column, "").strip()
        if not text:
            return None, f"no value in column {column}"
        try:
            number = figure(text, decimal_comma=column in commas)
        except ValueError as error:
            return None, f"column {column} holds no number: {error}"
        if source.valid and not source.valid[0] <= number <= source.valid[1]:
            return (
                None,
                f"outlier: column {column} holds {number:g}, outside {source.valid[0]:g} to {source.valid[1]:g}",
            )
        numbers.append(number)
    if len(numbers) == 1:
        return numbers[0], ""
    if numbers[1] == 0:
        return None, f"column {source.divide_by} is 0"
    return numbers[0] / numbers[1], ""
