"""What thinking buys: jobs that differ in it alone are compared in pairs, and others are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.report.command import main
from tests.runner.report.jobs import scored_job

RIGHT = [str(number) for number in range(12)]
WRONG = ["?"] * 6 + RIGHT[6:]


def page(folder: Path, *options: str) -> str:
    assert main([str(folder), *options]) == 0
    return (folder / "report.html").read_text(encoding="utf-8")


def rows(html: str, title: str) -> list[list[str]]:
    """The cells of the section's table, without tags."""
    section = html[html.rindex(f">{title}<") :].partition("</table>")[0]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in section.split("<tr>")[1:]]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in cells]


@pytest.mark.parametrize(("language", "title"), [("en", "What thinking buys"), ("ru", "Что даёт размышление")])
def test_each_is_compared_with_the_one_that_thinks_least(tmp_path: Path, language: str, title: str):
    def job(number: int, thinking: str, answers: list[str], tokens: float, *more: str) -> None:
        figures = {"text/reasoning_tokens": tokens, "latency/p50_s": 1.0 + number}
        settings = (f"sampling.thinking={thinking}", *more)
        scored_job(tmp_path / str(number), *settings, answers=answers, references=RIGHT, figures=figures)

    job(0, "2000", RIGHT, 700, "sampling.max_tokens=4000")
    job(1, "off", WRONG, 0)
    job(2, "on", RIGHT, 300, "sampling.max_tokens=1000")
    job(3, "on", RIGHT, 300, "model=demo_s")  # of another model, which there is nothing to compare with
    _, *found = rows(page(tmp_path, "--language", language), title)
    assert [row[1:3] for row in found] == [["2000", "off"], ["on", "off"]]
    for row, tokens in zip(found, (700, 300), strict=True):
        assert re.findall(r"[\d.]+", row[3].replace(",", ".")) == ["50.0", "100.0"]
        assert row[4].startswith("+50") and row[5]
        assert row[6] == f"0 → {tokens}"


def test_without_thinking_there_is_no_such_section(tmp_path: Path):
    for number, model in enumerate(("demo_s", "demo_m")):
        scored_job(tmp_path / str(number), f"model={model}", answers=RIGHT, references=RIGHT)
    assert "What thinking buys" not in page(tmp_path)
