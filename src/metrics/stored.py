"""Figures that came with the answers, taken over as measures: what another program has computed is not lost.

stored: {columns: {perplexity: Perplexity, judge_ratio: {column: Candidate_Score, divide_by: Reference_Score,
                                                         valid: [0, 10], better: higher}}}
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from metrics.api import Case, Measure, Score
from metrics.numerals import figure, has_decimal_comma
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a measure is found: a column, perhaps in relation to another; values outside `valid` are outliers."""

    column: str
    divide_by: str | None = None
    valid: tuple[float, float] | None = None
    better: Literal["higher", "lower"] = "higher"

    @classmethod
    def of(cls, measure: str, given: object) -> _Column:
        """Read one entry of the configuration: a column's name, or options by name."""
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping) or not isinstance(given.get("column"), str):
            raise TypeError(
                f"columns.{measure} is {given!r}: name a column, such as Perplexity or {{column: Perplexity}}"
            )
        options = dict(given)
        if unknown := sorted(set(options) - {"column", "divide_by", "valid", "better"}):
            raise ValueError(f"columns.{measure} has unknown options: {', '.join(unknown)}")
        if options.get("better", "higher") not in ("higher", "lower"):
            raise ValueError(f"columns.{measure}.better is {options['better']!r}; valid: higher, lower")
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
    """The mean of each named column of `Case.facts["columns"]`, texts by column.

    A cell that is empty, no number, or outside `valid` leaves its case unscored, with the reason.
    """

    env = "current"

    def __init__(self, columns: Mapping[str, Any] | None = None) -> None:
        self._columns = {str(name): _Column.of(str(name), given) for name, given in dict(columns or {}).items()}
        self.measures = tuple(
            Measure(name, one.better, "mean", -math.inf, None, f"mean of the stored column {one}")
            for name, one in self._columns.items()
        )

    @property
    def version(self) -> str:
        """Which columns, and what counts as valid."""
        return "2 " + "; ".join(f"{name}={one}" for name, one in sorted(self._columns.items()))

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield the stored figure of each case and measure."""
        named = {column for one in self._columns.values() for column in (one.column, one.divide_by) if column}
        texts = {name: [(case.facts.get("columns") or {}).get(name, "") for case in cases] for name in named}
        commas = frozenset(name for name, column in texts.items() if has_decimal_comma(column))
        for case in cases:
            cells = case.facts.get("columns") or {}
            for name, one in self._columns.items():
                value, reason = _value(one, cells, commas)
                stats = () if value is None else (value, 1.0)
                yield Score(case.sample_id, case.repeat, name, value, stats, reason)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)


def _value(one: _Column, cells: Mapping[str, str], commas: frozenset[str]) -> tuple[float | None, str]:
    """Return the figure, or None and the reason. `commas` are the columns whose decimal mark is a comma."""
    numbers = []
    for column in (one.column, *([one.divide_by] if one.divide_by else [])):
        text = cells.get(column, "").strip()
        if not text:
            return None, f"no value in column {column}"
        try:
            number = figure(text, decimal_comma=column in commas)
        except ValueError as error:
            return None, f"column {column} holds no number: {error}"
        if one.valid and not one.valid[0] <= number <= one.valid[1]:
            return None, f"outlier: column {column} holds {number:g}, outside {one.valid[0]:g} to {one.valid[1]:g}"
        numbers.append(number)
    if len(numbers) == 1:
        return numbers[0], ""
    if numbers[1] == 0:
        return None, f"column {one.divide_by} is 0"
    return numbers[0] / numbers[1], ""
