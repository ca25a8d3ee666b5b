"""What the page draws of boxes and tables: the data that its script gets, placed and paired as the metrics score it."""

import json
import re
from pathlib import Path

import PIL.Image
import pytest

from metrics import boxes
from metrics.tables import ALONE, CHANGED, SAME, differences, of_html, of_pipes
from runner import report
from runner.jobs.folder import JobFolder
from runner.report import drawn
from tests.runner.report.jobs import scored_job

EVIL = "<img src=x onerror=alert(1)>"


def data(folder: Path) -> dict:
    report.write(JobFolder.below(folder), folder / "report.html", "title")
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "onerror" not in html.replace("onerror=alert(1)\\u003e", ""), "only within JSON, without < and >"
    return json.loads(re.search(r'id="data-1-answers"[^>]*>(.*?)</script>', html, re.DOTALL)[1])  # type: ignore[index]


def test_boxes_lie_where_each_models_own_frame_puts_them(tmp_path: Path):
    PIL.Image.new("RGB", (400, 200), "white").save(tmp_path / "page.png")
    rows = [{"images": [str(tmp_path / "page.png")]}] * 3
    references = ["[100, 50, 200, 100]"] * 3
    answers = {
        "pixels": [f'{{"bbox_2d": [100, 50, 200, 100], "label": "{EVIL}"}}', "[300, 50, 900, 100]", None],
        "0-1000": ['{"bbox_2d": [250, 250, 500, 500]}', "I see no box", "[1100, 0, 1200, 100] [250, 250, 500, 375]"],
        "resized": ["[50, 25, 100, 50]", "", "[50, 25, 100, 50]"],
    }
    sizes = {"resized": [{"image_sizes": [[200, 100]]}, {}, {}]}
    for frame, given in answers.items():
        extra = [row | more for row, more in zip(rows, sizes.get(frame, [{}] * 3), strict=True)]
        scored_job(tmp_path / frame, "metrics=[exact_match,grounding]", f"model.box_frame={frame}",
                   answers=given, references=references, rows=extra)  # fmt: skip
    found = data(tmp_path)
    shown = {
        re.search("pixels|0-1000|resized", label)[0]: [one[0][2].get("boxes") for one in answers]  # type: ignore[index]
        for label, answers in zip(found["candidates"], found["answers"], strict=True)
    }
    whole = [0.25, 0.25, 0.5, 0.5]
    for boxes_of in shown.values():
        assert boxes_of[0]["wanted"] == [whole] and boxes_of[0]["given"][0][:6] == [*whole, 1, 0]
    assert shown["pixels"][0]["given"][0][6:] == [EVIL, ""]
    beyond = shown["pixels"][1]["given"][0]
    assert beyond[:4] == [0.75, 0.25, 2.25, 0.5] and beyond[7] == "it goes beyond the page"
    assert shown["pixels"][2] == {"wanted": [whole], "given": []}, "a failed answer: the reference alone"
    assert shown["0-1000"][1]["given"] == []
    outside, half = shown["0-1000"][2]["given"]
    assert outside[5] == -1 and outside[7] == "it is outside the page"
    assert half[4:6] == [0.5, 0]
    assert "doesn't say to what size" in shown["resized"][2]["problem"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "итог"}, {"label": "дата", "bbox": [5, 6, 7, 8]}]', ["итог", "дата"]),
        ('{"label": "a\\"b\\u0436", "bbox": [1, 2, 3, 4]}', ['a"bж']),
        ("<ref>сумма</ref><box>(1,2),(3,4)</box><ref>дата</ref><box>(5,6),(7,8)</box>", ["сумма", "дата"]),
        ("<|object_ref_start|>x<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>", ["x"]),
        ('{"label": "a", "boxes": 1} [1, 2, 3, 4] {"label": "b"}', [""]),
        ("1, 2, 3, 4", [""]),
        ("no box", []),
    ],
)
def test_labels_of_boxes(text: str, labels: list[str]):
    assert boxes.labels(text) == labels
    assert len(labels) == len(boxes.written(text))


def test_a_row_that_was_left_out_is_marked_and_not_the_rows_behind_it():
    wanted = of_pipes(["|товар|цена|", "|-|-|", "|чай|10|", "|сахар|20|", "|соль|30|"])
    given = of_pipes(["|товар|цена|", "|-|-|", "|сахар|20|", "|соль|31|", "|мука и ещё|7|"])
    marks, others = differences(wanted, given)
    assert marks == [[SAME, SAME], [ALONE, ALONE], [SAME, SAME], [SAME, CHANGED]]
    assert others == [[SAME, SAME], [SAME, SAME], [SAME, CHANGED], [ALONE, ALONE]]
    merged = of_html("<table><tr><td colspan=2>a</td></tr></table>")
    alone = of_html("<table><tr><td>a</td></tr></table>")
    assert differences(merged, alone) == ([[CHANGED]], [[CHANGED]])
    assert differences(merged, of_html("")) == ([[ALONE]], [])


def test_tables_stand_in_pairs_with_their_merged_cells(tmp_path: Path):
    reference = "Счёт\n\n<table><tr><td colspan=2>Итого</td></tr><tr><td>a</td><td>1</td></tr></table>"
    answers = [
        f"|x|y|\n|-|-|\n|{EVIL.replace('<', '&lt;')}|2|\n\n"
        "<table><tr><td colspan=2>Итого</td></tr><tr><td>a</td><td>2</td></tr></table>",
        "no table",
        None,
    ]
    scored_job(tmp_path / "a", "metrics=[exact_match,page]", answers=answers, references=[reference] * 3)
    ((first,), (second,), (failed,)) = data(tmp_path)["answers"][0]
    pair, extra = first[2]["tables"]
    assert pair["wanted"] == [[["Итого", SAME, 2, 1]], [["a", SAME], ["1", CHANGED]]]
    assert pair["given"] == [[["Итого", SAME, 2, 1]], [["a", SAME], ["2", CHANGED]]]
    assert pair["teds"] == 0.8
    assert extra["wanted"] is None and extra["given"][1][0] == [EVIL, ALONE]
    (missing,) = second[2]["tables"]
    assert missing["given"] is None and missing["teds"] == 0
    assert {mark for row in missing["wanted"] for _, mark, *_ in row} == {ALONE}
    assert "tables" not in failed[2]


def test_a_huge_table_is_cut_and_the_page_says_so(tmp_path: Path):
    rows = "".join(f"<tr><td>{number}</td><td>x</td></tr>" for number in range(1000))
    scored_job(tmp_path / "a", "metrics=[exact_match,page]",
               answers=[f"<table>{rows}</table>"], references=["|a|\n|-|\n|b|"])  # fmt: skip
    (pair,) = data(tmp_path)["answers"][0][0][0][2]["tables"]
    assert pair["cut"] and sum(map(len, pair["given"])) == 1500


def test_tables_without_room_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawn, "MOST_CELLS_IN_ALL", 4)
    page = "|a|b|\n|-|-|\n|1|2|"
    for name in ("a", "bb"):
        scored_job(tmp_path / name, "metrics=[exact_match,page]", answers=[page] * 2, references=[page] * 2)
    for answers in data(tmp_path)["answers"]:
        (first,), (second,) = answers
        assert "tables" in first[2] and "undrawn" not in first[2]
        assert "tables" not in second[2] and second[2]["undrawn"], "each candidate has its share"
