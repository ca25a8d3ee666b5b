"""Collects what is wrong with a dataset, so that a user hears of all of it at once, but not of 100,000 rows."""

from __future__ import annotations

from runner.base.errors import Problem, Refused

SHOWN = 20


class Findings:
    """Problems in the order they were found: the first ones in full, the rest counted."""

    def __init__(self, place: str) -> None:
        """Name the place that the uncounted rest is said to lie in."""
        self._place = place
        self._shown: list[Problem] = []
        self._more = 0

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self._shown)

    def add(self, problem: Problem) -> None:
        """Keep a problem."""
        if len(self._shown) < SHOWN:
            self._shown.append(problem)
        else:
            self._more += 1

    def refuse(self) -> None:
        """Raise Refused if anything was found."""
        if self._more:
            self._shown.append(Problem(f"... and {self._more} more problems like these", self._place))
        if self._shown:
            raise Refused(self._shown)
