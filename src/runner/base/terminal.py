"""Writes tables and lines to standard output."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from runner.base import command_line

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160  # columns where the output is no terminal and COLUMNS is not set


def console() -> Console:
    """Return a console as wide as the terminal or as COLUMNS; else 160 columns, so that tables in a log stay whole."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            """Go on without a reader (`| head` has ended): Rich would end a sweep before its report is written."""
            self.quiet = True
            command_line.discard_output()

    width_is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Piped(width=None if width_is_known else WIDE)


def say(text: str) -> None:
    """Print a line without wrapping it, so that it can be copied."""
    console().print(text, highlight=False, markup=False, soft_wrap=True)
