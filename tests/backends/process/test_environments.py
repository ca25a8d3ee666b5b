from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backends.api import Launch
from backends.process import environments
from backends.process.log import Log


def test_python_is_this_interpreter_with_this_package_and_no_namesake(tmp_path: Path) -> None:
    (tmp_path / "backends.py").write_text("raise SystemExit('the wrong one')")
    launch = Launch(("python", "-c", "import backends.api; print(backends.__file__)"), {"MODE": "x"})
    prepared = environments.find("current").prepare(launch)
    assert prepared.argv[0] == sys.executable
    assert prepared.argv[1:] == launch.argv[1:]
    assert prepared.variables["MODE"] == "x"
    said = subprocess.run(prepared.argv, env=dict(prepared.variables), cwd=tmp_path, capture_output=True, text=True)
    assert Path(said.stdout.strip()).parent == environments.PACKAGE_ROOT / "backends"


def test_other_commands_are_left_alone() -> None:
    assert environments.find("current").prepare(Launch(("/bin/server",))).argv == ("/bin/server",)


def test_an_unknown_name_lists_what_exists() -> None:
    with pytest.raises(ValueError, match=r"env=docker: .*there are: current"):
        environments.find("docker")


def test_a_log_is_read_from_where_this_engine_began(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_text("an earlier engine's last words\n")
    log = Log(path, secret="s3cret")
    assert log.tail() == "" and log.last_lines(3) == []
    with path.open("ab") as file:
        file.write(b"one\n\n\x1b[31mloading 10%\rloading 99%\x1b[0m\r\nkey s3cret \xff\n")
    assert log.last_lines(2) == ["loading 99%", "key *** \ufffd"]
    assert log.head(3) == "one"
    assert Log(tmp_path / "none.log").tail() == ""
