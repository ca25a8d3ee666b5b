"""`dataset.split`, `.doc_class`, `.field`, `.limit`: which rows are asked. A filter that no row passes is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import cells
from runner.datasets.reader import Row

NAMES = ("split", "doc_class", "field")


class Filters:
    """Decides for each row whether it is asked, and remembers all values, to list them if a filter matches none."""

    def __init__(self, config: DatasetConfig) -> None:
        """Read the filters of a config. Raise Refused for a value that can't be a filter."""
        self._wanted = {name: values for name in NAMES if (values := _values(name, getattr(config, name))) is not None}
        self._exist: dict[str, dict[str, None]] = {name: {} for name in self._wanted}  # in the order of the file
        self._limit: int | None = config.limit
        if config.limit_seed is not None and self._limit is None:
            raise Refused(
                Problem("draws the samples of dataset.limit, which is null", "dataset.limit_seed", "dataset.limit=100")
            )
        if self._limit is not None and self._limit < 1:
            raise Refused(Problem(f"{self._limit} is out of range", "dataset.limit", "at least 1, or null for all"))
        if config.limit_seed is not None:
            self._limit = None  # all that pass are drawn from (runner.datasets.random_subset)
        self.kept = 0

    def keep(self, row: Row) -> bool:
        """Return whether a row is asked. The limit counts the rows that pass the other filters."""
        for name, exist in self._exist.items():
            exist[cells.label(getattr(row, name))] = None
        passes = all(cells.label(getattr(row, name)) in values for name, values in self._wanted.items())
        if not passes or (self._limit is not None and self.kept >= self._limit):
            return False
        self.kept += 1
        return True

    def problems(self) -> list[Problem]:
        """Return what is wrong with the filters. Call this after all rows have been read."""
        problems = []
        for name, values in self._wanted.items():
            if unknown := [value for value in values if value not in self._exist[name]]:
                exist = ", ".join(value or "(empty)" for value in list(self._exist[name])[:50])
                what = f"nothing in the dataset has {name} {', '.join(map(repr, unknown))}"
                problems.append(Problem(what, f"dataset.{name}", f"there are: {exist}"))
        if not problems and not self.kept and self._wanted:
            filters = " and ".join(f"{name}={', '.join(values)}" for name, values in self._wanted.items())
            remedy = "each of these values exists, but not together"
            problems.append(
                Problem(f"no sample has {filters}", ", ".join(f"dataset.{name}" for name in self._wanted), remedy)
            )
        return problems


def _values(name: str, setting: Any) -> tuple[str, ...] | None:
    """Return the values of a filter as text: its setting is one value or a list of values."""
    if setting is None:
        return None
    scalars = (str, int, float)
    if isinstance(setting, scalars):
        return (cells.label(str(setting)),)
    values = None if isinstance(setting, Mapping) else tuple(setting)
    if not values or not all(isinstance(value, scalars) for value in values):
        remedy = f"one value or a list: dataset.{name}=[first,second]; null keeps all"
        raise Refused(Problem(f"{setting!r} can't be a filter", f"dataset.{name}", remedy))
    return tuple(cells.label(str(value)) for value in values)
