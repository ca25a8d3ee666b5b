from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backends import registry
from backends.api import Backend


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, entry: str, code: str = "") -> None:
    """Put a third-party package with one backend on the path, as an installer would."""
    module = entry.split(":")[0]
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{name} = {entry}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)


THIRD_PARTY = """
from backends.api import EngineStats, Launch

class Theirs:
    name = "theirs"
    def launch(self, spec, port): return Launch(("serve", str(port)))
    def translate(self, log_tail): return None
    def statistics(self, before, after, log): return EngineStats()
"""


def test_our_own_backend_is_found_by_name() -> None:
    backend = registry.find("hf")
    assert isinstance(backend, Backend)
    assert backend.name == "hf"
    assert "hf" in registry.names()


def test_an_unknown_name_lists_what_is_installed() -> None:
    with pytest.raises(ValueError, match=r"unknown backend 'hff' \(did you mean 'hf'\?\); known: hf"):
        registry.find("hff")


def test_a_backend_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "theirs", "their_backend:Theirs", THIRD_PARTY)
    assert registry.find("theirs").name == "theirs"
    assert set(registry.names()) >= {"hf", "theirs"}


def test_a_backend_that_can_not_be_imported_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "torn", "torn_backend:Torn", "import nonexistent_engine")
    with pytest.raises(
        ValueError,
        match=r"backend 'torn' can't be loaded from torn_backend:Torn \(torn_backend\): .*nonexistent_engine",
    ):
        registry.find("torn")


def test_a_class_that_is_no_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "odd", "odd_backend:Odd", "class Odd: pass")
    with pytest.raises(ValueError, match="lacks methods"):
        registry.find("odd")


def test_a_name_that_two_packages_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "hf", "false_hf:Theirs", THIRD_PARTY)
    with pytest.raises(
        ValueError,
        match=r"two backends are called 'hf': backends.hf:HfBackend \(built in\) and false_hf:Theirs \(false_hf\)",
    ):
        registry.find("hf")
    assert registry.find("openai").name == "openai", "the others go on working"
