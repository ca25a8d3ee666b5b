"""Errors that a user sees as a message, without a traceback. Each says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that stops a job. `where` is a file and row, or a config key; `remedy` says what would be valid."""

    what: str
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """Return one readable paragraph."""
        where = f"{self.where}: " if self.where else ""
        remedy = f"\n      -> {self.remedy}" if self.remedy else ""
        return f"{where}{self.what}{remedy}"


# The packages whose own words are messages for people.
OURS = ("runner", "backends", "metrics", "registries")


def raised_in(error: BaseException) -> str:
    """Return the package whose code raised an error; nothing if it was not raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else str(last.tb_frame.f_globals.get("__name__", "")).partition(".")[0]


class RunnerError(Exception):
    """The base class of all errors that are shown as a message. The program exits with `exit_code`."""

    exit_code = 1


class Refused(RunnerError):
    """The configuration or the data is wrong. Raised before any engine is started; nothing was written."""

    exit_code = 2

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        """Keep the problems in their order, without duplicates."""
        several = (problems,) if isinstance(problems, Problem) else problems
        self.problems = tuple(dict.fromkeys(several))
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"refused before anything was started:\n{listed}")


class JobFailed(RunnerError):
    """A job failed while it ran. The other jobs of the sweep continue."""


class SweepFailed(RunnerError):
    """Some jobs of a sweep failed. The table of failed jobs and their reasons has been printed already."""


def attempt(problems: list[Problem], step: Callable[[], Any]) -> Any:
    """Return the result of a step. If it raises Refused, add its problems to `problems` and return None.

    So a user sees all problems at once.
    """
    try:
        return step()
    except Refused as refused:
        problems.extend(refused.problems)
        return None
