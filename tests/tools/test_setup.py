"""tools/setup.sh, with stand-ins for Python: which one is taken, and what becomes of an environment of a wrong one."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Answers what setup.sh asks of a Python of version {version}; `-m venv FOLDER` makes a folder with a copy of itself.
STAND_IN = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *version_info\\ \\<*) exit {is_old} ;;
  *version_info*) echo {version} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" ;;
esac
"""


class Setup:
    """A folder with Pythons on the PATH, and the script run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        (folder / "bin").mkdir()
        self.log.touch()

    def python(self, name: str, version: str, where: str = "bin") -> None:
        is_old = int(tuple(map(int, version.split("."))) < (3, 11))
        path = self.folder / where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN.format(log=self.log, version=version, is_old=is_old))
        path.chmod(0o755)

    def __call__(self, python: str = "") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(ROOT / "tools" / "setup.sh"), ".venv", python, "torch==1", "hf"]
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            command, cwd=self.folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
        )

    @property
    def version(self) -> str:
        """The version that the environment's Python was given."""
        text = (self.folder / ".venv" / "bin" / "python").read_text()
        return text.partition("*version_info*) echo ")[2].split()[0]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_an_old_python_is_refused_and_leaves_nothing(setup: Setup):
    setup.python("python3.9", "3.9.18")
    ended = setup("python3.9")
    assert ended.returncode == 1
    assert "PYTHON=python3.9 is Python 3.9.18, and 3.11 or newer is needed" in ended.stderr
    assert "make PYTHON=python3.12" in ended.stderr
    assert not (setup.folder / ".venv").exists()


def test_a_python_that_is_not_there_is_named(setup: Setup):
    ended = setup("python9.9")
    assert ended.returncode == 1 and "PYTHON=python9.9: there is no such program" in ended.stderr


def test_an_environment_of_an_old_python_is_made_anew(setup: Setup):
    """As a first try with an old Python, or an upgrade of the system, leaves it."""
    setup.python("python", "3.8.1", ".venv/bin")
    (setup.folder / ".venv" / "pyvenv.cfg").touch()
    setup.python("python3.12", "3.12.1")
    ended = setup("python3.12")
    assert ended.returncode == 0, ended.stderr
    assert ".venv is made anew: its Python is 3.8.1" in ended.stdout and setup.version == "3.12.1"


def test_another_python_that_is_asked_for_by_name_replaces_the_environment(setup: Setup):
    setup.python("python3.11", "3.11.2")
    setup.python("python3.13", "3.13.0")
    assert setup("python3.11").returncode == 0 and setup.version == "3.11.2"
    ended = setup("python3.13")
    assert "it has Python 3.11.2, and PYTHON=python3.13 is 3.13.0" in ended.stdout and setup.version == "3.13.0"


def test_without_a_name_the_first_that_will_do_is_taken_and_an_environment_that_is_right_stays(setup: Setup):
    setup.python("python3", "3.10.4")
    setup.python("python3.13", "3.13.0")
    assert setup().returncode == 0 and setup.version == "3.13.0"
    setup.log.write_text("")
    ended = setup()
    assert "anew" not in ended.stdout and "venv .venv" not in setup.log.read_text()


def test_an_environment_whose_python_is_gone_is_made_anew(setup: Setup):
    (setup.folder / ".venv" / "bin").mkdir(parents=True)
    (setup.folder / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    (setup.folder / ".venv" / "pyvenv.cfg").touch()
    setup.python("python3.12", "3.12.1")
    ended = setup("python3.12")
    assert ended.returncode == 0 and "none that starts" in ended.stdout


def test_a_folder_of_the_users_own_is_not_removed(setup: Setup):
    (setup.folder / ".venv").mkdir()
    (setup.folder / ".venv" / "thesis.txt").write_text("mine")
    setup.python("python3.12", "3.12.1")
    ended = setup("python3.12")
    assert ended.returncode == 1 and "is no Python environment" in ended.stderr
    assert (setup.folder / ".venv" / "thesis.txt").exists()


def test_what_is_installed_with_what(setup: Setup):
    setup.python("python3.12", "3.12.1")
    setup("python3.12")
    asked = setup.log.read_text()
    assert f"{ROOT}/tools/install_with_uv.py torch==1\n" in asked, "torch alone and first"
    assert f"{ROOT}/tools/install_with_uv.py --editable {ROOT}[hf]\n" in asked
