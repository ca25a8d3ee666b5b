"""One line of `python -m runner.doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it stands, what was found, and what to do."""

    status: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""
