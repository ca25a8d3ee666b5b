"""The report in a real browser, on a real sweep: what a reader sees, clicks, filters, enlarges and prints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, Opened, Sweep


def test_a_stranger_sees_which_one_to_take_and_why(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    opened = open_page(demo_sweep.report)
    page = opened.page
    expect(page.locator(".verdict h2")).to_have_text("demo_m bf16")
    expect(page.locator(".verdict .reason")).to_contain_text("exact match")
    box = page.locator(".verdict").bounding_box()
    assert box is not None and box["y"] + box["height"] < 800, "on the first screen, without scrolling"
    expect(page.locator("table.compare tbody tr")).to_have_count(2)
    expect(page.locator("tr.taken th")).to_contain_text("recommended")
    assert opened.requests == []


def test_the_table_sorts(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    page = open_page(demo_sweep.report).page
    heading = page.get_by_role("columnheader", name=re.compile("CER"))
    first = page.locator("table.compare tbody tr th").first
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    expect(first).to_contain_text("demo_s")
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    expect(first).to_contain_text("demo_m")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_the_readers_colours(demo_sweep: Sweep, open_page: Callable[..., Opened], scheme: str):
    opened = open_page(demo_sweep.report, color_scheme=scheme)
    names = opened.page.locator("figure.chart").evaluate_all("all => all.map(one => one.dataset.name)")
    assert names[:4] == ["trade_off", "heat_map", "latency", "memory"]
    for name in names:
        chart = opened.page.locator(f"figure[data-name={name}]")
        chart.scroll_into_view_if_needed()
        expect(chart.locator(".main-svg").first).to_be_visible()
    colors = opened.page.locator("figure[data-name=latency] .scatterlayer path.js-line").evaluate_all(
        "all => all.map(one => getComputedStyle(one).stroke)"
    )
    assert colors == (["rgb(47, 111, 219)", "rgb(217, 115, 13)"] if scheme == "light" else
                      ["rgb(110, 163, 247)", "rgb(240, 154, 74)"])  # fmt: skip
    assert opened.requests == []


def test_answers_filter_search_and_sort(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    page = open_page(demo_sweep.report).page
    page.locator(".viewer").scroll_into_view_if_needed()
    count = page.locator(".viewer .count")
    expect(count).to_have_text("48 of 48")
    page.locator("select.field").select_option(label="passport / Фамилия")
    expect(count).to_have_text("6 of 48")
    expect(page.locator(".space .row .where").first).to_have_text("passport / Фамилия")
    page.locator("select.field").select_option(index=0)
    page.locator("select.kind").select_option(label="wrong: demo_s bf16")
    expect(page.locator(".space .row").first.locator(".answer").nth(0).locator(".unmet")).to_be_visible()
    wrong = int(count.inner_text().split()[0])
    assert 0 < wrong < 48
    page.locator("select.kind").select_option("disagree")
    assert 0 < int(count.inner_text().split()[0]) <= wrong + 5
    expect(page.locator(".space mark").first).to_be_visible()
    page.locator("select.kind").select_option("error")
    expect(count).to_have_text("0 of 48")
    expect(page.locator(".space")).to_contain_text("Nothing matches.")
    page.locator("select.kind").select_option("all")
    reference = page.locator(".space .row .reference").nth(1).inner_text()
    page.get_by_label("Search in questions").fill(reference.upper())
    expect(count).to_have_text(re.compile(r"^[1-9] of 48$"))
    page.get_by_label("Search in questions").fill("")
    page.locator("select.sort").select_option("worst")
    expect(page.locator(".space .row").first.locator(".unmet")).to_have_count(2)


def test_a_picture_is_enlarged_and_a_sample_opened(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    page = open_page(demo_sweep.report).page
    image = page.locator(".space .row img").first
    image.scroll_into_view_if_needed()
    assert image.evaluate("one => one.complete && one.naturalWidth") == 336
    image.click()
    large = page.locator("dialog.lightbox img")
    expect(large).to_be_visible()
    before, after = image.bounding_box(), large.bounding_box()
    assert before is not None and after is not None and after["width"] > 3 * before["width"]
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)
    page.locator(".space .row .question").first.click()
    expect(page.locator("dialog.detail .part")).to_have_count(2)
    page.keyboard.press("ArrowRight")
    expect(page.locator("dialog.detail .steps")).to_contain_text("2 / 48")
    page.get_by_role("button", name="close").click()
    expect(page.locator("dialog")).to_have_count(0)


def test_nothing_is_wider_than_a_phone(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    page = open_page(demo_sweep.report, viewport=PHONE, has_touch=True, is_mobile=True).page
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot.locator(".main-svg").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".viewer").scroll_into_view_if_needed()
    expect(page.locator(".space .row .answer").first).to_be_visible()


def test_it_prints(demo_sweep: Sweep, open_page: Callable[..., Opened], tmp_path: Path):
    import pypdfium2

    page = open_page(demo_sweep.report).page
    page.wait_for_function("window.Plotly")
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    with pypdfium2.PdfDocument(tmp_path / "report.pdf") as document:
        text = "\n".join(sheet.get_textpage().get_text_bounded() for sheet in document)
        assert 2 <= len(document) < 12
    assert "demo_m bf16" in text and "What quality costs" in text and "The first 40 of 48 questions" in text
    expect(page.locator(".space .row").first).to_be_visible()


def test_russian(demo_sweep: Sweep, open_page: Callable[..., Opened], tmp_path: Path):
    from runner import report
    from runner.report.results import collect

    report.write(collect(demo_sweep.folder), tmp_path / "ru.html", "отчёт", language="ru")
    page = open_page(tmp_path / "ru.html").page
    expect(page.locator("h1")).to_have_text("Сравнение: 2 кандидата")
    page.locator(".viewer").scroll_into_view_if_needed()
    expect(page.locator(".viewer .count")).to_have_text("48 из 48")
