"""Answers that try to harm the page: markup, scripts, ends of scripts, formulas, direction, a megabyte of text."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from runner import report
from runner.jobs.folder import JobFolder
from tests.browser.conftest import Opened
from tests.runner.report.jobs import scored_job

HARM = "window.harmed = true"
EVIL = [
    f"<script>{HARM}</script>",
    f"</script><script>{HARM}</script>",
    f'"><img src=x onerror="{HARM}">',
    f"<!--<script>{HARM}",
    f"javascript:{HARM}",
    "=cmd|' /C calc'!A0",
    "'\"`\\ \\u003cscript\\u003e ${7*7} {{7*7}} {% raw %}",
    "\u202eabc\u202c \u05de\u05e8\u05d7\u05d1\u05d0 \u2028 \x1b[31m \U0001f600",
    "длинный ответ " * 7200,  # 100 kB
    "<b>" * 5000,
    "word" * 25000,  # no place to break a line
    "",
]


@pytest.fixture(scope="module")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which everything that can be untrusted is: answers, references, questions, fields, names, errors."""
    folder = tmp_path_factory.mktemp("harmful")
    rows = [
        {"question": text[:2000], "field": text[:100], "doc_class": text[:100], "document": f"{text[:90]}."}
        for text in EVIL
    ]
    scored_job(folder / "a", "model=demo_m", answers=EVIL, references=["да"] * len(EVIL), rows=rows, name=EVIL[0])
    scored_job(folder / "bb", "model=demo_s", answers=[None, *EVIL[:-1]], references=[*EVIL], rows=rows, name=EVIL[1])
    report.write(JobFolder.below(folder), folder / "report.html", EVIL[2])
    return folder / "report.html"


def test_nothing_runs_and_everything_is_shown_as_text(harmful: Path, open_page: Callable[..., Opened]):
    opened = open_page(harmful)
    page = opened.page
    page.locator(".viewer").scroll_into_view_if_needed()
    expect(page.locator(".viewer .count")).to_have_text(f"{len(EVIL)} of {len(EVIL)}")
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot.locator(".main-svg").first).to_be_visible()
    for place in range(len(EVIL)):
        page.locator(".list").evaluate("(list, place) => list.scrollTo(0, place * 96)", place)
        row = page.locator(f'.space .row[data-sample="{place}"]')
        row.locator(".question").click(force=True)
        shown = page.locator("dialog.detail .part").first.locator(".one").text_content() or ""
        if EVIL[place]:
            assert EVIL[place][:20_000].strip() in shown
        page.get_by_role("button", name="close").click()
    assert page.evaluate("window.harmed") is None
    assert page.locator("body img[src=x]").count() == 0
    assert opened.requests == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280, "no answer stretches the page"


def test_a_script_that_got_in_would_not_run(harmful: Path, tmp_path: Path, open_page: Callable[..., Opened]):
    """The second wall: even if an answer became markup, the page's policy runs none but our scripts."""
    html = harmful.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(
        html.replace("</main>", f"<script>{HARM}</script><img src=x onerror='{HARM}'></main>"), encoding="utf-8"
    )
    opened = open_page(broken)
    opened.page.wait_for_timeout(300)
    assert opened.page.evaluate("window.harmed") is None
    assert any("Content Security Policy" in error for error in opened.errors)
    opened.errors.clear()


def test_differences_are_marked(tmp_path: Path, open_page: Callable[..., Opened]):
    scored_job(
        tmp_path / "a", answers=["Петровa", "19.05.2024", "совсем другое"], references=["Петров", "17.05.2024", "Б"]
    )
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    page = open_page(tmp_path / "report.html").page
    said = page.locator(".space .row .said")
    assert [part.inner_text() for part in said.locator("mark").all()] == ["a", "9", "совсем другое"]
    assert [part.inner_text() for part in said.locator("del").all()] == ["7"]
