"""Two sections of the report: what comes from reading, and what was published; each only where there is something."""

import re

import pytest

from tests.conftest import ROOT, CommandLine

ECHO = ("backend.name=echo", "tracking=none", "dataset.limit=8", "metrics=[cer,exact_match]")


def page(cli: CommandLine) -> str:
    (path,) = cli.folder.rglob("report.html")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_blind_jobs_stand_in_a_section_of_their_own(cli: CommandLine, language: str):
    assert cli("experiment=blind_baseline", *ECHO, f"report.language={language}").code == 0
    html = page(cli)
    title = {"en": "What is read, and what is guessed", "ru": "Что прочитано, а что угадано"}[language]
    assert title in html
    assert {"en": "1 candidate compared", "ru": "1 "}[language] in html, "the blind ones are no candidates"
    section = html[html.index(title, html.index("<main") if "<main" in html else 0) :]
    rows = re.findall(r"<tr><th class=\"text\" scope=\"row\">.*?</tr>", section, re.S)
    nothing = {"en": "+0.000", "ru": "+0,000"}[language]
    assert sum(nothing in row for row in rows) == 4, "two measures, two blind twins"
    certain = {"en": "[+0.000, +0.000]", "ru": "[+0,000; +0,000]"}[language]
    assert not any(certain in row for row in rows), "equal answers to few documents are no certainty"


def test_published_figures_stand_beside_ones_own(cli: CommandLine):
    model = ROOT / "assets" / "demo_models" / "demo_s" / "bf16"
    given = ("published=data/published/screen_annotation.yaml", "model=qwen2vl_2b", f"model.path={model}")
    assert cli(*ECHO, *given, "metrics=[text,cer]").code == 0
    html = page(cli)
    assert "Compared with published figures" in html and "text/length_mean" in html and "156.48" in html
    assert "(n: 8 here, 50 there)" in html


def test_neither_is_there_without_cause(cli: CommandLine):
    assert cli(*ECHO).code == 0
    html = page(cli)
    assert "Compared with published figures" not in html and "What is read, and what is guessed" not in html
