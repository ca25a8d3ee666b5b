"""The Russian pages tell the same commands as the English ones, and both are linked with each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import documented_commands

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [
    ("README.md", "README.ru.md"),
    *((f"docs/{one.name}", f"docs/ru/{one.name}") for one in ROOT.glob("docs/ru/*")),
]
KEY = re.compile(r"`([\w./]+=[^`…]+|--[\w-]+[^`…]*)`")


def prose(page: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("english", "russian"), PAIRS)
def test_both_tell_the_same_commands(english: str, russian: str):
    told = list(documented_commands.commands(english))
    assert told
    assert list(documented_commands.commands(russian)) == told


@pytest.mark.parametrize(("english", "russian"), PAIRS)
def test_settings_that_the_russian_page_names_are_those_of_the_english_one(english: str, russian: str):
    known = " ".join((ROOT / english).read_text(encoding="utf-8").split())
    named = [" ".join(one.split()) for one in KEY.findall(prose(russian))]
    # How the report comes out in Russian is told to Russian readers alone.
    assert [one for one in named if one not in known and one != "report.language=ru"] == []


@pytest.mark.parametrize(("english", "russian"), PAIRS)
def test_they_are_linked_with_each_other(english: str, russian: str):
    for page, other in ((english, russian), (russian, english)):
        begin = (ROOT / page).read_text(encoding="utf-8")[:300]
        links = [(ROOT / page).parent / link for link in re.findall(r"\]\(([^)#]+)\)", begin)]
        assert (ROOT / other) in [link.resolve() for link in links], f"{page} has no link to {other} at its top"


def test_the_first_pages_are_there_in_russian():
    assert {russian for _, russian in PAIRS} >= {
        "README.ru.md",
        "docs/ru/getting_started.md",
        "docs/ru/choosing.md",
        "docs/ru/report.md",
    }


def test_the_russian_page_of_the_report_uses_the_words_of_the_report():
    said = yaml.safe_load((ROOT / "src/runner/report/texts/ru.yaml").read_text(encoding="utf-8"))
    page = " ".join((ROOT / "docs/ru/report.md").read_text(encoding="utf-8").split()).casefold()
    words = [*said["section"].values(), said["verdict"]["distrust"].rstrip(":"), said["metric"]["exact_match"]]
    words += [said["table"][one] for one in ("candidate", "baseline")] + [said["answers"]["reference"]]
    assert [word for word in words if word.casefold() not in page] == []
