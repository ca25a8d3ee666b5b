"""The argument parser of the commands `python -m runner.NAME`."""

from __future__ import annotations

import argparse


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m runner.NAME`. Its --help shows `description` with the line breaks it has."""
    return argparse.ArgumentParser(
        prog=f"python -m runner.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
