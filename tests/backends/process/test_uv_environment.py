"""Environments built by uv. Nothing is downloaded: the requirements are empty or can't be met."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from backends.api import EngineFailed, Launch
from backends.process import uv_commands
from backends.process.uv_environment import BUILT, UvEnvironment


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_ENVS", str(tmp_path / "envs"))
    return tmp_path / "envs"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# nothing\n")
    return path


def test_built_once_with_its_overlay_and_kept(tmp_path: Path, requirements: Path) -> None:
    overlay = tmp_path / "overlay"
    (overlay / "shim").mkdir(parents=True)
    (overlay / "shim" / "__init__.py").write_text("WORD = 'laid over'\n")
    environment = UvEnvironment("tiny", requirements, overlays=(overlay,), variables={"MODE": "x"})
    said: list[str] = []
    environment.build(said.append)
    assert environment.is_built() and any("built env=tiny" in line for line in said)
    prepared = environment.prepare(Launch(("python", "-c", "import shim, sys; print(shim.WORD, sys.prefix)")))
    assert prepared.argv[0] == str(environment.interpreter) and prepared.variables["MODE"] == "x"
    out = subprocess.run(prepared.argv, env=dict(prepared.variables), capture_output=True, text=True, check=True).stdout
    assert out.split() == ["laid", "over", str(environment.folder)]
    before = (environment.folder / BUILT).stat().st_mtime_ns
    said.clear()
    environment.build(said.append)
    assert not said and (environment.folder / BUILT).stat().st_mtime_ns == before
    assert json.loads((environment.folder / BUILT).read_text())["label"] == "tiny"


def test_of_the_runners_packages_it_sees_backends_alone(requirements: Path) -> None:
    environment = UvEnvironment("tiny", requirements)
    environment.build(lambda _: None)
    ours = environment.prepare(Launch(("python", "-m", "backends.api")))
    done = subprocess.run(ours.argv, env=dict(ours.variables), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    look = "import importlib.util as u; print(u.find_spec('backends') is None, u.find_spec('hydra') is None)"
    theirs = environment.prepare(Launch(("python", "-c", look)))
    out = subprocess.run(theirs.argv, env=dict(theirs.variables), capture_output=True, text=True).stdout
    assert out.split() == ["True", "True"]


def test_whatever_decides_the_content_is_in_the_name(tmp_path: Path, requirements: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "a.py").write_text("1")
    names = {UvEnvironment("e", requirements, overlays=(overlay,)).name}
    (overlay / "a.py").write_text("2")
    names.add(UvEnvironment("e", requirements, overlays=(overlay,)).name)
    names.add(UvEnvironment("e", requirements, remove=("x",)).name)
    names.add(UvEnvironment("e", requirements, python="3.12").name)
    names.add(UvEnvironment("e", requirements, variables={"A": "1"}).name)
    plain = UvEnvironment("e", requirements).digest
    (tmp_path / "pins.txt").write_text("six==1.17.0\n")
    requirements.write_text("-c pins.txt  # why\n")
    included = UvEnvironment("e", requirements).digest
    (tmp_path / "pins.txt").write_text("six==1.16.0\n")
    assert len({plain, included, UvEnvironment("e", requirements).digest}) == 3
    assert len(names) == 5
    assert UvEnvironment("e", requirements, variables={"A": "1"}).folder == UvEnvironment("e", requirements).folder


def test_a_failed_build_says_the_command_and_leaves_nothing(requirements: Path) -> None:
    requirements.write_text("./no-such-folder\n")
    environment = UvEnvironment("broken", requirements)
    with pytest.raises(EngineFailed, match=r"env=broken could not be built") as raised:
        environment.build(lambda _: None)
    message = str(raised.value)
    assert "uv pip install" in message and str(requirements) in message and "no-such-folder" in message
    assert not environment.folder.exists()


def test_an_interrupted_build_is_begun_anew(requirements: Path) -> None:
    environment = UvEnvironment("tiny", requirements)
    (environment.folder / "bin").mkdir(parents=True)
    (environment.folder / "bin" / "python").write_text("half a file")
    environment.build(lambda _: None)
    assert subprocess.run([environment.interpreter, "-c", ""]).returncode == 0


def test_two_builders_build_once(requirements: Path) -> None:
    said: list[str] = []
    environments = [UvEnvironment("tiny", requirements) for _ in range(2)]
    threads = [threading.Thread(target=environment.build, args=(said.append,)) for environment in environments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(line.startswith("built") for line in said) == 1


def test_files_that_are_not_there(tmp_path: Path, requirements: Path) -> None:
    with pytest.raises(ValueError, match=r"env\.requirements: there is no file"):
        UvEnvironment("e", tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"env\.overlays: there is no folder"):
        UvEnvironment("e", requirements, overlays=(tmp_path / "none",))


PIP = """:env:.find-links='/wheels /more'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.index-url="https://main.example/simple"
freeze.all='true'
broken
"""


def test_uv_is_told_what_pip_is_told() -> None:
    told = uv_commands.variables(uv_commands.parse_pip_config(PIP), {})
    assert told == {
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_DEFAULT_INDEX": "https://main.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    mine = {"UV_FIND_LINKS": "/mine", "UV_INDEX_STRATEGY": "first-index"}
    assert set(uv_commands.variables(uv_commands.parse_pip_config(PIP), mine)) == {"UV_INDEX", "UV_DEFAULT_INDEX"}


def test_the_present_interpreter_is_the_default(requirements: Path) -> None:
    environment = UvEnvironment("tiny", requirements)
    environment.build(lambda _: None)
    version = "import sys; print(*sys.version_info[:2])"
    out = subprocess.run([environment.interpreter, "-c", version], capture_output=True, text=True).stdout
    assert out.split() == [str(number) for number in sys.version_info[:2]]


def test_a_wheel_folder_with_a_comma_in_its_path_is_one_folder(tmp_path: Path) -> None:
    """uv splits UV_FIND_LINKS at commas; pip, at blanks alone. Seen with uv itself, which finds the wheel."""
    folder = tmp_path / "колёса, 2026,1".replace(" ", "_")
    folder.mkdir()
    with zipfile.ZipFile(folder / "commatest-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("commatest.py", "")
        wheel.writestr("commatest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: commatest\nVersion: 1.0\n")
        wheel.writestr(
            "commatest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("commatest-1.0.dist-info/RECORD", "")
    told = uv_commands.variables({"find-links": f"{folder} /more"}, {})
    assert told["UV_FIND_LINKS"].count(",") == 1 and told["UV_FIND_LINKS"].endswith(",/more")
    spaced = uv_commands.variables({"find-links": "file:///a%20b,c"}, {})
    assert spaced == {"UV_FIND_LINKS": "file:///a%20b%2Cc"}
    found = uv_commands.variables({"find-links": str(folder)}, {})["UV_FIND_LINKS"]
    uv = [uv_commands._binary(), "pip", "install", "--dry-run", "--no-index"]
    command = [*uv, "--target", str(tmp_path / "x"), "commatest"]
    ended = subprocess.run(command, env={**os.environ, "UV_FIND_LINKS": found}, capture_output=True, text=True)
    assert ended.returncode == 0 and "commatest==1.0" in ended.stderr, ended.stderr
