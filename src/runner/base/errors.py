"""What can go wrong, as a user should read it: each error says what, where and what to do. No traceback is shown."""

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


class RunnerError(Exception):
    """The root of all errors that are shown to the user as a message. `exit_code` is what the program ends with."""

    exit_code = 1


class Refused(RunnerError):
    """Something was found wrong before any engine was started; nothing was written."""

    exit_code = 2

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        """Keep the problems, each once, in the order they were found."""
        found = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.problems = tuple(dict.fromkeys(found))
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"refused before anything was started:\n{listed}")


class JobFailed(RunnerError):
    """A job broke while it ran. The others go on."""


class SweepFailed(RunnerError):
    """Some jobs of a sweep failed; the table of what failed and why has been shown."""


def attempt(problems: list[Problem], step: Callable[[], Any]) -> Any:
    """Return what a step gives; collect what it refuses, so that all that is wrong is told at once."""
    try:
        return step()
    except Refused as refused:
        problems.extend(refused.problems)
        return None
