"""Writes tables and lines to standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Return a console as wide as the terminal; where there is none to ask, a log keeps a table whole."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def say(text: str) -> None:
    """Print a line, never wrapped, so that it can be copied."""
    console().print(text, highlight=False, markup=False, soft_wrap=True)
