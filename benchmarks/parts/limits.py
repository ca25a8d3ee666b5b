"""What a benchmark ends with: a line for each limit, and the exit status that says whether all hold.

pass          requests/s beside a bare client at concurrency 8: 0.96 (>= 0.9)
FALLS SHORT   CPU ms a sample at concurrency 8: 3.5 (<= 3)
not measured  vLLM beside a bare client (>= 0.97): the environment vllm_cpu can't be built: ...
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass

PASS, SHORT, UNKNOWN = "pass", "FALLS SHORT", "not measured"
SIGNS = {">=": operator.ge, "<=": operator.le, "<": operator.lt, "==": operator.eq}


@dataclass(frozen=True)
class Limit:
    """One figure and what it must be. `value=None`: it could not be measured here, and `why` says why not."""

    what: str
    value: float | None
    sign: str
    bound: float
    why: str = ""

    @property
    def verdict(self) -> str:
        """Say whether it holds."""
        if self.value is None:
            return UNKNOWN
        return PASS if SIGNS[self.sign](self.value, self.bound) else SHORT

    def __str__(self) -> str:
        """Return the line of the table."""
        said = f" ({self.sign} {self.bound:.4g})"
        said = f"{said}: {self.why}" if self.value is None else f": {self.value:.4g}{said}"
        return f"{self.verdict:13} {self.what}{said}"


def tell(limits: Iterable[Limit]) -> int:
    """Print the lines; return 0 where all hold, else 1: what was not measured does not pass."""
    told = list(limits)
    for one in told:
        print(one, flush=True)
    return int(any(one.verdict != PASS for one in told))
