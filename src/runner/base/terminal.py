"""Writes tables and lines to standard output."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160  # columns of a log, where there is no terminal to ask and COLUMNS doesn't say


def console() -> Console:
    """Return a console as wide as the terminal, or as COLUMNS says; elsewhere a log keeps a table whole."""
    from rich.console import Console

    asked = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(width=None if asked else WIDE)


def say(text: str) -> None:
    """Print a line, never wrapped, so that it can be copied."""
    console().print(text, highlight=False, markup=False, soft_wrap=True)
