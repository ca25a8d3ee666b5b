"""Collects the problems of a dataset, so that a user sees all kinds at once without 100,000 messages."""

from __future__ import annotations

from runner.base.errors import Problem, Refused

SHOWN = 20


class Findings:
    """Problems in the order in which they were found. The first ones are kept; the rest are only counted."""

    def __init__(self, place: str) -> None:
        """Start without problems. `place` is the location named for the problems that are only counted."""
        self._place = place
        self._shown: list[Problem] = []
        self._more = 0

    def __bool__(self) -> bool:
        """Return whether there is a problem."""
        return bool(self._shown)

    def add(self, problem: Problem) -> None:
        """Add a problem."""
        if len(self._shown) < SHOWN:
            self._shown.append(problem)
        else:
            self._more += 1

    def refuse(self) -> None:
        """Raise Refused if there is a problem."""
        if self._more:
            self._shown.append(Problem(f"... and {self._more} more problems like these", self._place))
        if self._shown:
            raise Refused(self._shown)
