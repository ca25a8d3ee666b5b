"""What the command lines of `python -m runner.NAME` share: a parser that calls itself by that name."""

from __future__ import annotations

import argparse


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m runner.NAME`, whose --help shows the module's docstring as it is written."""
    return argparse.ArgumentParser(
        prog=f"python -m runner.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
