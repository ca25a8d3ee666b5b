"""The report in a real browser, on a real sweep: what a reader sees, clicks, filters, enlarges and prints."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from runner import report
from runner.jobs.folder import JobFolder
from tests.browser.conftest import LAPTOP, PHONE, Opened, Sweep
from tests.runner.report.jobs import scored_job


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
    page.locator("select.kind").select_option("wrong")
    page.locator("select.whose").select_option(label="demo_s bf16")
    expect(page.locator(".space .row").first.locator(".answer").nth(0).locator(".unmet")).to_be_visible()
    wrong = int(count.inner_text().split()[0])
    assert 0 < wrong < 48
    page.locator("select.whose").select_option(index=0)
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


def test_an_address_restores_a_view_and_opens_a_sample(demo_sweep: Sweep, open_page: Callable[..., Opened]):
    page = open_page(f"{demo_sweep.report.as_uri()}#answers?model=demo_s&doc_class=passport&only=wrong").page
    count = page.locator(".viewer .count")
    expect(count).to_have_text(re.compile(r"^[1-9]\d? of 48$"))
    expect(page.locator("select.whose")).to_have_value("demo_s bf16")
    expect(page.locator(".space .row .where").first).to_contain_text("passport")
    shown = count.inner_text()
    page.locator(".space .row .question").first.click()
    expect(page.locator("dialog.detail")).to_be_visible()
    address = page.evaluate("location.href")
    assert "only=wrong" in address and "sample=" in address
    again = open_page(address).page
    expect(again.locator(".viewer .count")).to_have_text(shown)
    expect(again.locator("dialog.detail h3").first).to_have_text(page.locator("dialog.detail h3").first.inner_text())
    again.keyboard.press("Escape")
    expect(again.locator("dialog")).to_have_count(0)
    assert "sample=" not in again.evaluate("location.href") and "only=wrong" in again.evaluate("location.href")
    again.evaluate("location.hash = '#sample=7'")
    expect(again.locator("dialog.detail .told > .soft").first).to_contain_text("· 7")
    other = open_page(f"{demo_sweep.report.as_uri()}#answers?model=nobody&only=wrong&sample=no-such").page
    expect(other.locator(".notice")).to_have_text(
        "The address names something that is not here: model=nobody, sample=no-such"
    )


def test_the_prompt_of_each_answer_is_in_its_window(tmp_path: Path, open_page: Callable[..., Opened]):
    prompts = ["Напиши одно слово.\nВопрос: что это?", "что это?"]
    for name, prompt in zip(("demo_m", "demo_s"), prompts, strict=True):
        rows = [{"question": "что это?", "prompt": prompt}] * 2
        system = ("prompt.system=documents",) if name == "demo_m" else ()
        scored_job(tmp_path / name, f"model={name}", *system, answers=["а", "б"], references=["а", "б"], rows=rows)
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    page = open_page(tmp_path / "report.html").page
    page.locator(".space .row .question").first.click()
    parts = page.locator("dialog.detail .part")
    expect(parts.filter(has_text="demo_m").locator("details.prompted pre")).to_have_text(["documents", prompts[0]])
    expect(parts.filter(has_text="demo_s").locator(".prompted")).to_have_text("prompt: the question as it stands")


def test_columns_out_of_sight_are_named(tmp_path: Path, open_page: Callable[..., Opened]):
    """Many candidates with long names: the first column stays, and what lies to the right is told of."""
    for number in range(9):
        answers = ["а"] * number + ["б"] * (9 - number)
        given = ("model=demo_m", f"sampling.temperature=0.{number + 1}", "model.name=a_rather_long_name_of_a_model")
        figures = {"latency/p95_s": 1.0 + number, "latency/p50_s": 1.0, "throughput/requests_per_s": 2.0}
        scored_job(tmp_path / str(number), *given, answers=answers, references=["а"] * 9, figures=figures)
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    for viewport in (LAPTOP, PHONE):
        page = open_page(tmp_path / "report.html", viewport=viewport).page
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        phone = viewport is PHONE
        table, hint = page.locator(".part-comparison .scroll"), page.locator(".part-comparison button.more")
        if phone:
            expect(hint).to_contain_text("cut off")
            table.evaluate("box => box.scrollTo(box.scrollWidth, 0)")
            expect(hint).to_be_hidden()
            box, outer = table.locator("tbody th").first.bounding_box(), table.bounding_box()
            assert box is not None and outer is not None and abs(box["x"] - outer["x"]) < 2, "the name stays in sight"
        else:
            expect(page.locator(".filters button.more")).to_contain_text("to the right: a_rather_long_name")
            page.locator(".list").evaluate("list => list.scrollTo(list.scrollWidth, 0)")
            expect(page.locator(".filters button.more")).to_be_hidden()


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
    report.write(JobFolder.below(demo_sweep.folder), tmp_path / "ru.html", "отчёт", language="ru")
    page = open_page(tmp_path / "ru.html").page
    expect(page.locator("h1")).to_have_text("Сравнение: 2 кандидата")
    plot = page.locator("figure[data-name=trade_off]")
    plot.scroll_into_view_if_needed()
    expect(plot.locator(".xtick text").nth(1)).to_have_text(re.compile(r"^0,\d+$"))
    page.locator(".viewer").scroll_into_view_if_needed()
    expect(page.locator(".viewer .count")).to_have_text("48 из 48")


@pytest.mark.parametrize("size", [LAPTOP, PHONE])
@pytest.mark.parametrize("candidates", [1, 2, 6])
def test_the_legend_of_memory_lies_on_nothing(
    tmp_path: Path, open_page: Callable[..., Opened], size: dict[str, int], candidates: int
):
    figures = {"memory/weights_gib": 5.0, "memory/kv_used_gib": 1.0, "memory/gpu_peak_gib": 7.0}
    for number in range(candidates):
        scored_job(
            tmp_path / str(number), f"concurrency={number + 1}", answers=["а"], references=["а"], figures=figures
        )
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    page = open_page(tmp_path / "report.html", viewport=size).page
    chart = page.locator("figure[data-name=memory]")
    chart.scroll_into_view_if_needed()
    legend = chart.locator(".legend").bounding_box()
    others = [chart.locator(part).bounding_box() for part in (".xtitle", ".xaxislayer-above")]
    assert legend is not None and None not in others
    for other in others:
        assert legend["y"] + legend["height"] <= other["y"] or other["y"] + other["height"] <= legend["y"]
