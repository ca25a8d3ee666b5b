"""Installs packages into the environment of the Python that runs this, with uv, as pip is configured on this machine.

python tools/install_with_uv.py torch==2.13.0

uv takes a fraction of pip's time, but reads none of pip's configuration, which may name a folder of wheels (a CPU build
of torch, say), an index or a proxy's certificate. src/backends/process/uv_commands.py translates that; it is loaded by
its path, as nothing is installed yet.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import uv

TRANSLATION = Path(__file__).resolve().parents[1] / "src" / "backends" / "process" / "uv_commands.py"


def main() -> None:
    """Replace this process by uv's."""
    spec = importlib.util.spec_from_file_location("uv_commands", TRANSLATION)
    assert spec is not None and spec.loader is not None
    uv_commands = importlib.util.module_from_spec(spec)
    sys.modules["uv_commands"] = uv_commands
    spec.loader.exec_module(uv_commands)
    environment = os.environ | uv_commands.variables(uv_commands.pip_options(), os.environ)
    environment.pop("VIRTUAL_ENV", None)  # another one may be active in this shell
    binary = os.fsdecode(uv.find_uv_bin())
    command = [binary, "pip", "install", "--python", sys.executable, *sys.argv[1:]]
    os.execve(binary, command, environment)


if __name__ == "__main__":
    main()
