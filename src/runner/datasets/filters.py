"""`dataset.split`, `.doc_class`, `.field` and `.limit`: which rows are asked. One that fits nothing is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.reader import Row

NAMES = ("split", "doc_class", "field")


class Filters:
    """Decides row by row, and remembers which values there are, to name them where none fits."""

    def __init__(self, config: DatasetConfig) -> None:
        """Read the filters of a config. Raise Refused for a value that can't be one."""
        self._wanted = {name: wanted for name in NAMES if (wanted := _values(name, getattr(config, name))) is not None}
        self._exist: dict[str, dict[str, None]] = {name: {} for name in self._wanted}  # in the order of the file
        self._limit: int | None = config.limit
        if self._limit is not None and self._limit < 1:
            raise Refused(Problem(f"{self._limit} is out of range", "dataset.limit", "at least 1, or null for all"))
        self.kept = 0

    def keep(self, row: Row) -> bool:
        """Whether a row is asked. The limit counts the rows that pass."""
        for name, exist in self._exist.items():
            exist[getattr(row, name)] = None
        passes = all(getattr(row, name) in wanted for name, wanted in self._wanted.items())
        if not passes or (self._limit is not None and self.kept >= self._limit):
            return False
        self.kept += 1
        return True

    def problems(self) -> list[Problem]:
        """Return what is wrong with the filters, once all rows were seen."""
        found = []
        for name, wanted in self._wanted.items():
            if unknown := [value for value in wanted if value not in self._exist[name]]:
                exist = ", ".join(value or "(empty)" for value in list(self._exist[name])[:50])
                what = f"nothing in the dataset has {name} {', '.join(map(repr, unknown))}"
                found.append(Problem(what, f"dataset.{name}", f"there are: {exist}"))
        if not found and not self.kept and self._wanted:
            said = " and ".join(f"{name}={', '.join(wanted)}" for name, wanted in self._wanted.items())
            remedy = "each of these values exists, but not together"
            found.append(
                Problem(f"no sample has {said}", ", ".join(f"dataset.{name}" for name in self._wanted), remedy)
            )
        return found


def _values(name: str, given: Any) -> tuple[str, ...] | None:
    """Return the wanted values as text: a filter is one value or a list of them."""
    if given is None:
        return None
    scalars = (str, int, float)
    if isinstance(given, scalars):
        return (str(given),)
    values = None if isinstance(given, Mapping) else tuple(given)
    if not values or not all(isinstance(value, scalars) for value in values):
        remedy = f"one value or a list: dataset.{name}=[first,second]; null keeps all"
        raise Refused(Problem(f"{given!r} can't be a filter", f"dataset.{name}", remedy))
    return tuple(str(value) for value in values)
