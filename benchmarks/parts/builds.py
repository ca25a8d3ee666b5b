"""Another build to compare with: `--before FOLDER` names a checkout, which is run in turns with this one.

It runs in its own environment, FOLDER/.venv, where that is there: an older build may look up its parts by the entry
points of its package. Otherwise it runs in this interpreter's environment, with its own sources first.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--before`."""
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of the build to compare with")


def python(checkout: Path = HERE) -> str:
    """Return the interpreter that runs a checkout."""
    own = checkout.absolute() / ".venv" / "bin" / "python"
    return str(own) if checkout != HERE and own.exists() else sys.executable


def environment(checkout: Path = HERE) -> dict[str, str]:
    """Return the variables under which `python -m runner` is that of a checkout, with its configs."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(checkout / "src"), "RUNNER_CONF": str(checkout / "conf")}
