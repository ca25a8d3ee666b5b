"""Boxes on the picture and tables side by side, in a real browser; labels and cells that are markup stay text."""

from collections.abc import Callable
from pathlib import Path

import PIL.Image
from playwright.sync_api import expect

from runner import report
from runner.jobs.folder import JobFolder
from tests.browser.conftest import Opened
from tests.runner.report.jobs import scored_job

EVIL = "<img src=x onerror='window.harmed=true'>"
TABLE = "<table><tr><td colspan=2>Итого</td></tr><tr><td rowspan=2>чай</td><td>10</td></tr><tr><td>11</td></tr></table>"


def test_boxes_and_tables(tmp_path: Path, open_page: Callable[..., Opened]):
    PIL.Image.new("RGB", (300, 600), "white").save(tmp_path / "page.png")
    rows = [{"images": [str(tmp_path / "page.png")]}, {"images": []}]
    evil_cell = EVIL.replace("<", "&lt;").replace(">", "&gt;")
    for name, box in (
        ("demo_m", f'{{"label": "{EVIL}", "bbox": [30, 60, 150, 120]}}'),
        ("demo_s", "[400, 10, 500, 20]"),
    ):
        answers = [box, TABLE.replace("11", evil_cell if name == "demo_m" else "12")]
        metrics = "metrics=[exact_match,grounding,page]"
        scored_job(tmp_path / name, f"model={name}", metrics, answers=answers,
                   references=["[30, 60, 150, 180]", TABLE], rows=rows)  # fmt: skip
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title", language="ru")
    opened = open_page(tmp_path / "report.html")
    page = opened.page
    page.locator(".space .row .question").first.click()
    image, cover = page.locator(".pictures img"), page.locator(".pictures svg.boxes[viewBox]").first
    expect(cover.locator(".wanted rect")).to_have_count(1)
    frame, drawn = image.bounding_box(), cover.locator(".wanted rect").bounding_box()
    assert frame is not None and drawn is not None
    for got, share, start, whole in (
        (drawn["x"], 0.1, frame["x"], frame["width"]),
        (drawn["y"], 0.1, frame["y"], frame["height"]),
        (drawn["x"] + drawn["width"], 0.5, frame["x"], frame["width"]),
        (drawn["y"] + drawn["height"], 0.3, frame["y"], frame["height"]),
    ):
        assert abs(got - (start + share * whole)) < 4, "where the metric has it, on the picture as it is shown"
    assert f"{EVIL} · IoU 0,50" in (cover.locator(".f0 title").text_content() or "")
    legend = page.locator(".legend label")
    expect(legend).to_have_count(3)
    expect(legend.first).to_contain_text("эталон")
    expect(page.locator(".boxlist").nth(1)).to_contain_text("ответ не оценён")
    legend.nth(1).click()
    expect(cover.locator(".f0")).to_be_hidden()
    cover.click(position={"x": 10, "y": 10})
    large = page.locator("dialog.lightbox svg.boxes")
    expect(large.locator(".wanted rect")).to_be_visible()
    expect(large.locator(".f0")).to_be_hidden()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    beside = page.locator("dialog.detail .beside")
    expect(beside).to_have_count(2)
    cells = beside.first.locator(".side").nth(1).locator("td")
    expect(cells).to_have_count(4)
    assert cells.nth(0).evaluate("one => one.colSpan") == 2 and cells.nth(1).evaluate("one => one.rowSpan") == 2
    expect(beside.first.locator(".side").nth(1).locator("td.changed")).to_have_text(EVIL)
    expect(beside.nth(1).locator(".side").nth(0).locator("td.changed")).to_have_text("11")
    assert page.locator("body img[src=x]").count() == 0 and page.evaluate("window.harmed") is None
    assert opened.requests == []
