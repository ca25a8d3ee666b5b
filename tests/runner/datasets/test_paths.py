"""Names of pictures that are the same text and other bytes: found; names that only look alike: said."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from runner.base.errors import Problem
from runner.datasets.api import Image
from runner.datasets.paths import ImageFolder, resolve


def form(name: str, text: str) -> str:
    return unicodedata.normalize(name, text)


@pytest.mark.parametrize(("on_disk", "named"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_composed_in_another_way_is_found(tmp_path: Path, on_disk: str, named: str):
    stored = tmp_path / form(on_disk, "папка Ёж") / form(on_disk, "скан й.png")
    stored.parent.mkdir()
    stored.touch()
    found = ImageFolder(tmp_path).find(form(named, "папка Ёж/скан й.png"), "t.csv:2")
    assert found == Image(stored)
    assert resolve(form(named, "папка Ёж/скан й.png"), "dataset.path", tmp_path) == stored


def test_separators_of_windows_are_read(tmp_path: Path):
    (tmp_path / "imgs" / "a").mkdir(parents=True)
    (tmp_path / "imgs" / "a" / "1.png").touch()
    assert ImageFolder(tmp_path).find("imgs\\a\\1.png", "t.csv:2") == Image(tmp_path / "imgs" / "a" / "1.png")
    outside = ImageFolder(tmp_path / "imgs" / "a").find("..\\..\\secret.png", "t.csv:2")
    assert isinstance(outside, Problem)


@pytest.mark.parametrize("named", ["1.png", "IMGS/1.PNG", "imgs\\1.png"])
def test_another_case_is_hinted_at_and_not_guessed(tmp_path: Path, named: str):
    folder = tmp_path / "imgs" if named == "1.png" else tmp_path
    (tmp_path / "imgs").mkdir()
    (tmp_path / "imgs" / "1.PNG").touch()
    found = ImageFolder(folder).find(named, "t.csv:2")
    assert isinstance(found, Problem) and "does not exist" in found.what
    assert f"there is '{'' if named == '1.png' else 'imgs/'}1.PNG': write it so" in found.remedy


def test_two_files_that_read_the_same_are_not_guessed_between(tmp_path: Path):
    for name in (form("NFC", "й.png"), form("NFD", "й.png")):
        (tmp_path / name).touch()
    found = ImageFolder(tmp_path).find(form("NFC", "й.png"), "t.csv:2")
    assert isinstance(found, Image) and found.path.name == form("NFC", "й.png"), "the exact name is there"
