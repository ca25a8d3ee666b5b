from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backends.hf import HfBackend
from backends.sglang import SglangBackend
from backends.vllm import VllmBackend
from runner.planning import backend_code

FILES = {
    "__init__.py": "",
    "backend.py": "from acme_engines.flags import LINE\nfrom . import extra\nclass Acme: ...\n",
    "flags.py": "LINE = 1\n",
    "extra.py": "from .deep import more\n",
    "deep/__init__.py": "",
    "deep/more.py": "",
    "other.py": "",
}


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "acme_engines"
    (folder / "deep").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("acme_engines")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("changed", "matters"),
    [("backend.py", True), ("flags.py", True), ("extra.py", True), ("deep/more.py", True), ("other.py", False)],
)
def test_what_a_backend_imports_of_its_package_belongs_to_it(acme: Path, changed: str, matters: bool) -> None:
    from acme_engines.backend import Acme  # type: ignore[import-not-found]

    before = backend_code.digest.__wrapped__(Acme)
    with (acme / changed).open("a") as file:
        file.write("# changed\n")
    assert (backend_code.digest.__wrapped__(Acme) != before) == matters


def test_ours_cover_flags_and_the_request_on_the_wire() -> None:
    assert "backends.engine_args" in backend_code._with_siblings(VllmBackend.__module__)
    assert "backends.api" not in backend_code._with_siblings(VllmBackend.__module__)
    assert len({backend_code.digest(kind) for kind in (HfBackend, VllmBackend, SglangBackend)}) == 3
