"""Names from before the rooms, which packages of third parties import, give the modules of today."""

import importlib
import subprocess
import sys

import pytest

from runner.base.moved import MOVED


@pytest.mark.parametrize("old", [*MOVED, "runner.answer_files.opening", "runner.judging.pictures"])
def test_the_old_name_is_the_same_module(old: str):
    # In a process of its own: what other tests have imported must not matter, nor which name comes first.
    code = (
        f"import importlib; from runner.base.moved import new_name; new = new_name({old!r})\n"
        f"first, second = importlib.import_module({old!r}), importlib.import_module(new)\n"
        "assert first is second and first.__name__ == first.__spec__.name == new, (first.__name__, first.__spec__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_as_unknown_as_before():
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'runner\.error'"):
        importlib.import_module("runner.error")
