"""One synthetic page in each format that models write, scored against the same page in Markdown."""

import json
from pathlib import Path

import pytest
import yaml

from metrics import page_blocks
from metrics.output_adapters import ADAPTERS, apply, checked
from metrics.registry import InvalidOptionError, create

from .cases import case, score

ROOT = Path(__file__).resolve().parents[2]
PAGE = """# Счёт № 5

Поставщик обязуется поставить товар.

<table><tr><td colspan="2">Товары</td></tr><tr><td rowspan="2">Стол</td><td>500</td></tr><tr><td>600</td></tr></table>

$$x+y$$

- первый пункт
- второй пункт"""
OTSL = "<fcel>Товары<lcel><nl><fcel>Стол<fcel>500<nl><ucel><fcel>600<nl>"
HTML_TABLE = PAGE[PAGE.index("<table") : PAGE.index("</table>") + 8]
L = "<loc_10><loc_20><loc_300><loc_400>"
WRITTEN = {
    "doctags": f"<doctag><section_header_level_1>{L}Счёт № 5</section_header_level_1>\n"
    f"<text>{L}Поставщик обязуется поставить товар.</text>\n<otsl>{L}{OTSL}</otsl>\n<formula>{L}x+y</formula>\n"
    f"<unordered_list><list_item>{L}первый пункт</list_item>\n<list_item>{L}второй пункт</list_item></unordered_list>"
    "<picture><loc_1><loc_2><loc_3><loc_4></picture></doctag><|end_of_text|>",
    "otsl": PAGE.replace(HTML_TABLE, f"<otsl>{OTSL}</otsl>"),
    "layout_json": json.dumps(
        [
            {"bbox": [1, 2, 3, 4], "category": "Title", "text": "Счёт № 5"},
            {"bbox": [1, 2, 3, 4], "category": "Text", "text": "Поставщик обязуется поставить товар."},
            {"bbox": [1, 2, 3, 4], "category": "Table", "text": HTML_TABLE},
            {"bbox": [1, 2, 3, 4], "category": "Formula", "text": "x+y"},
            {"bbox": [1, 2, 3, 4], "category": "List-item", "text": "- первый пункт"},
            {"bbox": [1, 2, 3, 4], "category": "List-item", "text": "- второй пункт"},
            {"bbox": [1, 2, 3, 4], "category": "Picture"},
        ],
        ensure_ascii=False,
    ),
    "grounding_tags": "\n\n".join(
        f"<|ref|>text<|/ref|><|det|>[[10, 20, 30, 40]]<|/det|>\n{block}" for block in PAGE.split("\n\n")
    ),
    "front_matter": f"---\nprimary_language: ru\nrotation_correction: 0\nis_table: False\n---\n{PAGE}",
    "entities": PAGE.replace(HTML_TABLE, HTML_TABLE.replace("<", "&lt;").replace(">", "&gt;")),
}


@pytest.mark.parametrize("cell", ["1 <b", "a < 5", "<5", "1 <b", "<fcel", "x<y>z"])
def test_a_sign_in_a_cell_is_no_tag(cell):
    found = apply(["otsl"], f"<fcel>{cell}<fcel>2<nl>")
    (table,) = page_blocks.split(found).tables
    assert [one.text for row in table.rows for one in row] == [cell, "2"]


def test_tags_in_a_cell_stay():
    assert "<td><b>5</b><br>m<sup class='x'>2</sup></td>" in apply(
        ["otsl"], "<fcel><b>5</b><br>m<sup class='x'>2</sup><nl>"
    )


def test_a_list_of_blocks_that_was_cut_off_is_read_as_far_as_it_goes():
    blocks = [
        {"bbox": [1, 2, 3, 4], "category": "Title", "text": "Счёт"},
        {"bbox": [1, 2, 3, 4], "category": "Text", "text": 'a{b} "я"\n\\c'},
    ]
    for whole in (json.dumps(blocks), json.dumps(blocks, ensure_ascii=False, indent=1)):
        read = apply(["layout_json"], whole)
        found = [apply(["layout_json"], whole[:cut]) for cut in range(whole.index("{") + 1, len(whole))]
        assert all(read.startswith(one) for one in found if one != "#")
        assert found[0] == "" and found[-1] == read and [len(one) for one in found] == sorted(map(len, found))


@pytest.mark.parametrize(
    "text",
    [
        "нет [",
        "[нет]",
        "пол: [] муж. [ ] жен.",
        "[] да",
        "[1] сноска",
        '[{"text": "a" "b"}, {"text": "c"}]',
        "[{]}",
        "",
    ],
)
def test_what_is_no_list_of_blocks_stays_as_it_is(text):
    assert apply(["layout_json"], text) == text


@pytest.mark.parametrize("text", ["[]", "[ ]", "```json\n[]\n```"])
def test_a_list_without_blocks_is_an_empty_page(text):
    assert apply(["layout_json"], text) == ""


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_page_in_a_format_is_the_page(name):
    found = {one: made.value for one, made in score("page", case(WRITTEN[name], PAGE), {"adapters": [name]}).items()}
    assert (found["page_overall"], found["page_teds"], found["page_text_edit"]) == (1, 1, 0)
    assert (found["page_order_edit"], found["page_extra"], found["page_missing"]) == (0, 0, 0)
    without = score("page", case(WRITTEN[name], PAGE))
    assert without["page_overall"].value < 1


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize(
    "text", ["", "просто текст", "[", "{}", "[1, 2]", "<otsl>", "<otsl><lcel><ucel><xcel>", PAGE, "[" * 50_000]
)
def test_what_is_not_in_a_format_stays_or_is_read_as_far_as_it_goes(name, text):
    changed = apply([name], text)
    assert isinstance(changed, str)
    if "<otsl>" not in text:
        assert changed == text


@pytest.mark.parametrize("text", ["---\nбез ключей\n---\nтекст", "текст\n---\na: 1\n---\n", "---\na: 1\nне закрыто"])
def test_what_is_no_front_matter_stays(text):
    """A line `---` is also a rule of Markdown."""
    assert apply(["front_matter"], text) == text


def test_models_of_the_zoo_name_adapters_that_there_are():
    named = {}
    for path in sorted((ROOT / "conf" / "model").glob("*.yaml")):
        if adapters := yaml.safe_load(path.read_text()).get("output_adapters"):
            named[path.stem] = checked(adapters)
    assert {"granite_docling", "dots_ocr", "deepseek_ocr", "paddleocr_vl_1_5", "mineru2_5", "olmocr_2"} <= set(named)


def test_adapters_are_applied_in_turn():
    assert "<table>" in apply(["grounding_tags", "otsl"], f"<|det|>[[1, 2, 3, 4]]<|/det|>{OTSL}")


def test_a_table_may_have_a_caption_and_cells_that_are_merged_with_nothing():
    written = apply(["doctags"], "<otsl><caption>Таблица 1</caption><lcel><fcel>а<nl></otsl>")
    assert written.split() == ["Таблица", "1", "<table><tr><td></td><td>а</td></tr></table>"]


@pytest.mark.parametrize(
    ("adapters", "message"), [(["docling"], "no adapter is called 'docling'"), ("doctags", "give a list")]
)
def test_adapters_that_are_none_are_refused(adapters, message):
    with pytest.raises(InvalidOptionError, match=message):
        create("page", {"adapters": adapters})


def test_scores_of_models_with_different_adapters_are_comparable():
    assert create("page", {"adapters": ["otsl"]}).version == create("page").version
