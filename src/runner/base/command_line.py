"""The argument parser of the commands `python -m runner.NAME`."""

from __future__ import annotations

import argparse
import os
import sys


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m runner.NAME`. Its --help shows `description` with the line breaks it has."""
    return argparse.ArgumentParser(
        prog=f"python -m runner.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def flush_output() -> None:
    """Write what standard output still holds, unless its reader (`| head`) has closed the pipe: then discard it.

    At its own end Python would report a closed pipe as an ignored exception, and exit with 120.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


def discard_output() -> None:
    """Discard what standard output still holds, because its reader (`| head`) has closed the pipe.

    Without this Python fails a second time when it flushes the output at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
