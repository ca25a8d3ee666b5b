from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from fake_backend import FakeBackend
from PIL import Image

import backends
from backends import registry


def test_the_example_in_the_package_docstring_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backends.__doc__ is not None
    example = dedent("    import asyncio" + backends.__doc__.split("    import asyncio", 1)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "find", lambda _: FakeBackend())  # no model is needed to see that it runs
    Image.new("RGB", (8, 8)).save("passport.png")
    exec(compile(example, "example", "exec"), {})
    assert capsys.readouterr().out == "echo: What is the surname?\n"
    assert Path("engine.log").read_text().startswith("fake engine")
