"""Whole pages: what counts as the same, what as an error, what is unscored."""

import json

import pytest

from metrics.aggregate import aggregate
from metrics.block_matching import match
from metrics.page_blocks import formula, split
from metrics.registry import InvalidOptionError, create

from .cases import case, cases_of, overall, score

PAGE = """# Счёт № 5

Поставщик обязуется поставить товар в срок.

Покупатель обязуется его оплатить.

| Товар | Цена |
|---|---|
| Стол | 500 |

$$x^2 + y = 5$$

- первый пункт
- второй пункт

Подпись директора стоит внизу."""
HTML = """<h1>Счёт № 5</h1><p>Поставщик обязуется<br>поставить товар в срок.</p><p>Покупатель обязуется его
<b>оплатить</b>.</p>
<table><thead><tr><th>Товар</th><th>Цена</th></tr></thead><tr><td>Стол</td><td>500</td></tr></table>
<p>\\[x^{2}+y=5\\]</p><ul><li>первый пункт</li><li>второй пункт</li></ul><p>Подпись директора стоит внизу.</p>"""
MEASURES = [measure.name for measure in create("page").measures]


def values(answer: str, *references: str, **options) -> dict[str, float | None]:
    return {name: one.value for name, one in score("page", case(answer, *references), options).items()}


PERFECT = {name: float(name in ("page_overall", "page_teds", "page_teds_structure")) for name in MEASURES}


@pytest.mark.parametrize(
    "answer",
    [
        PAGE,
        f"```markdown\n{PAGE}\n```",
        PAGE.replace("\n", "\r\n"),
        PAGE.replace("# ", "### ").replace("- ", "* "),
        PAGE.replace("поставить", "**поставить**").replace("оплатить", "_оплатить_"),
        PAGE.replace("$$x^2 + y = 5$$", "\\begin{equation*}x^2+y=5\\end{equation*}"),
        PAGE.replace("обязуется поставить", "обязуется\nпоставить"),
        HTML.replace("x^{2}", "x^2"),
        f"<!-- page 1 -->![logo](a.png)\n{PAGE}",
    ],
)
def test_ways_to_write_the_same_page_are_the_same(answer):
    assert values(answer, PAGE) == PERFECT


def test_an_empty_answer_is_an_answer_without_anything():
    worst = {"page_overall": 0, "page_teds": 0, "page_teds_structure": 0, "page_extra": 0}
    assert values("", PAGE) == {name: worst.get(name, 1.0) for name in MEASURES}


def test_edits_of_the_text_are_summed_over_blocks():
    assert values("абвгд\n\nежзик", "абвгд\n\nежзиК")["page_text_edit"] == pytest.approx(1 / 10)
    assert values("абвгд", "абвгд\n\nежзик")["page_text_edit"] == pytest.approx(5 / 10)
    assert values("абвгд\n\nежзик", "абвгд")["page_text_edit"] == pytest.approx(5 / 10)


def test_missing_and_extra_text_are_told_apart():
    found = values("абвгд\n\nлишнее", "абвгд\n\nпропущено")
    assert found["page_missing"] == pytest.approx(9 / 14)
    assert found["page_extra"] == pytest.approx(6 / 11)


def test_reading_order_counts_blocks_that_are_moved():
    one, two, three, four = (f"{word} абзац этой страницы" for word in ("первый", "Второй", "ТРЕТИЙ", "четвёртый"))
    page = "\n\n".join((one, two, three, four))
    assert values("\n\n".join((four, one, two, three)), page)["page_order_edit"] == pytest.approx(2 / 4)
    moved = values("\n\n".join((four, one, two, three)), page)
    assert moved["page_text_edit"] == 0
    assert values("\n\n".join((one, three, four)), page)["page_order_edit"] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    "answer",
    [
        "Первая часть текста. И вторая часть того же текста.\n\nДругой абзац о погоде.",
        "Первая часть текста.\n\nИ вторая часть того же текста.\n\nДругой абзац о погоде.",
        "Первая часть\n\nтекста.\n\nИ вторая\n\nчасть того\n\nже текста.\n\nДругой абзац\n\nо погоде.",
        "Первая часть текста. И вторая часть того же текста. Другой абзац о погоде.",
        "Первая часть текста.\nИ вторая часть того же текста.\nДругой абзац о погоде.",
    ],
)
def test_how_a_text_is_cut_into_blocks_is_no_error(answer):
    page = "Первая часть текста. И вторая часть того же текста.\n\nДругой абзац о погоде."
    assert values(answer, page)["page_text_edit"] == 0
    assert values(answer, page)["page_order_edit"] == 0
    assert values(page, answer)["page_text_edit"] == 0


def test_equal_blocks_are_paired_in_their_order():
    pairs = match(["Да", "Нет", "Да"], ["Да", "Да", "Нет"])
    assert [(pair.wanted.start, pair.predicted.start) for pair in pairs] == [(0, 0), (1, 2), (2, 1)]


def test_a_column_that_is_left_out_costs_its_cells():
    whole = "<table><tr><td>а</td><td>б</td></tr><tr><td>в</td><td>г</td></tr></table>"
    found = values("<table><tr><td>а</td></tr><tr><td>в</td></tr></table>", whole)
    assert found["page_teds"] == found["page_teds_structure"] == pytest.approx(1 - 2 / 6)
    assert values("<table><tr><td>а</td></tr><tr><td>в</td></tr></table>", whole, nodes="paper")[
        "page_teds"
    ] == pytest.approx(1 - 2 / 7)


def test_several_tables_are_matched_by_their_text_and_a_missing_one_is_0():
    one = "<table><tr><td>альфа</td><td>бета</td></tr></table>"
    two = "<table><tr><td>гамма</td><td>дельта</td></tr></table>"
    assert values(f"{two}\n{one}", f"{one}\n{two}")["page_teds"] == 1
    assert values(two, f"{one}\n{two}")["page_teds"] == pytest.approx(0.5)
    extra = values(f"{one}{two}", one)
    assert (extra["page_teds"], extra["page_extra"]) == (1, pytest.approx(12 / 22))


def test_teds_of_many_pages_is_the_mean_over_tables():
    one = "<table><tr><td>а</td></tr></table>"
    figures = overall("page", cases_of([("текст", f"текст\n\n{one}{one}{one}"), (one, one)]))
    assert figures["page_teds"].value == pytest.approx(1 / 4)
    assert figures["page_text_edit"].n_unscored == 1


def test_overall_is_the_mean_of_what_the_references_have():
    table = "<table><tr><td>а</td></tr></table>"
    assert values("абвгд", "абвгд")["page_overall"] == 1
    assert values("абвгд", f"абвгд\n\n{table}")["page_overall"] == pytest.approx(1 / 2)
    figures = overall("page", cases_of([("абвгд", "абвгд"), ("абвгд", f"абвгд\n\n{table}")]))
    assert figures["page_overall"].value == pytest.approx((1 + 0) / 2)


def test_formulas_are_compared_as_latex_without_layout():
    assert formula(r"\left( \mathrm{x} \, + y \right) \tag{1}") == formula("({x} + y)")
    assert values("$$x+y$$", "$$x+z$$")["page_formula_edit"] == pytest.approx(1 / 3)
    assert values("нет формулы", "$$x+z$$")["page_formula_edit"] == 1
    assert formula(r"\alpha") != formula("α")  # the limit that docs/metrics.md names


def test_punctuation_and_spaces_count_if_asked():
    assert values("Итого 5", "Итого: 5")["page_text_edit"] == 0
    assert values("Итого 5", "Итого: 5", characters="all")["page_text_edit"] == pytest.approx(1 / 8)


def test_the_best_of_several_references_counts():
    assert values("абвгд", "что-то другое", "абвгд")["page_overall"] == 1


def test_what_a_reference_has_none_of_is_unscored_with_a_reason():
    found = score("page", case("абв", "абв"))
    assert found["page_teds"].reason == found["page_teds_structure"].reason == "no table in the reference"
    assert found["page_formula_edit"].reason == "no formula in the reference"
    only = score("page", case("абв", "<table><tr><td>а</td></tr></table>"))
    assert only["page_text_edit"].reason == only["page_order_edit"].reason == "no text in the reference"


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("Текст\n\n<table><tr><td>а</td></tr>", "table 1: <table> is not closed"),
        ("<table></table>", "a table has no cells"),
        ("<table><tr></tr></table>\n\nтекст", "a table has no cells"),
        ("<table><tr><td><table><tr><td>а</td></tr></td></tr></table>", "table 1: <table> is not closed"),
    ],
)
def test_references_with_broken_tables_are_told_of_and_unscored(reference, what):
    assert create("page").check_reference(reference) == what
    found = score("page", case("а", reference)).values()
    assert {(one.value, one.reason) for one in found} == {(None, f"the reference: {what}")}
    assert values("а", reference, "а")["page_overall"] == 1  # another reference is whole


def test_signs_alone_are_no_reference():
    assert create("page").check_reference("—") == ""
    found = score("page", case("а", "— …")).values()
    assert {one.reason for one in found} == {"the reference: no text, table or formula in it"}


def test_html_of_an_answer_that_does_not_close_is_read_as_far_as_it_goes():
    whole = "<table><tr><td>а</td><td>б</td></tr><tr><td>в</td><td>г</td></tr></table>"
    assert values("<table><tr><td>а</td><td>б</td></tr><tr><td>в</td><td>г", whole)["page_teds"] == 1
    assert values("<table><tr><td>а</td><td>б", whole)["page_teds"] == pytest.approx(1 - 3 / 6)
    assert values("<table></table>", whole)["page_teds"] == 0
    assert values("текст</table>", "текст")["page_overall"] == 1


LONG = {
    "opened tables": "<table>" * 15_000,
    "opened formulas": "\\[" * 50_000,
    "dollars": "$$" * 50_001,
    "environments": "\\begin{equation}" * 6_000,
    "comments": "<!--" * 25_000,
    "pictures": "![" * 50_000,
    "emphasis": "*a _b " * 16_000,
    "links": "[" * 50_000,
    "pipes": "|" * 50_000 + "\n" + "|-" * 25_000,
    "dashes": "|" + "-" * 100_000 + "x",
    "rules": "- " * 50_000 + "x",
    "tags": "<p " * 30_000,
    "cells": "|a|b|\n|-|-|\n" + "|1|2|\n" * 8_000,
    "blocks": "слово\n\n" * 8_000,
    "other blocks": "\n\n".join(f"слово {number}" for number in range(4_000)),
}


@pytest.mark.parametrize("name", LONG)
def test_no_answer_is_too_long_or_too_broken(name):
    found = score("page", case(LONG[name], PAGE))
    assert all(one.value is not None for one in found.values())


def test_blocks_of_a_page():
    blocks = split(PAGE)
    assert blocks.texts[0] == "Счёт № 5"
    assert blocks.texts[3:] == ("первый пункт", "второй пункт", "Подпись директора стоит внизу.")
    assert (len(blocks.tables), blocks.formulas, blocks.broken) == (1, ("x^2 + y = 5",), "")


def layout(*texts: str) -> str:
    return json.dumps([{"bbox": [0, 0, 9, 9], "text": text} for text in texts], ensure_ascii=False)


def test_a_reference_may_be_a_layout_with_boxes():
    options = {"adapters": ["layout_json"], "reference_adapters": ["layout_json"]}
    table = "<table><tr><td>чай</td><td>10</td></tr></table>"
    found = values(layout("Счёт", "Итого: 5", table), layout("Счёт", "Итого: 5", table), **options)
    assert (found["page_overall"], found["page_teds"], found["page_extra"]) == (1, 1, 0)
    assert values("Счёт\n\nИтого: 5", layout("Счёт", "Итого: 5"), **options)["page_overall"] == 1
    assert values(layout("Счёт"), layout("Счёт", "Итог"), **options)["page_text_edit"] == 0.5
    assert create("page", options).version.endswith("reference_adapters=layout_json")


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("# Счёт", "layout_json: no JSON list of blocks: Expecting value"),
        ('{"text": "а"}', "layout_json: no list of blocks"),
        ('["а"]', "layout_json: no list of blocks"),
        ('[{"text": null}]', "layout_json: block 1: its text is no text"),
        ("[]", "no text, table or formula in it"),
        (layout("<table><tr><td>5</td></tr>"), "table 1: <table> is not closed"),
        (layout("а", "<table></table>"), "a table has no cells"),
    ],
)
def test_a_reference_that_is_no_layout_is_unscored_and_never_0(reference, what):
    found = score("page", case("Счёт", reference), {"reference_adapters": ["layout_json"]})
    assert all(one.value is None and what in one.reason for one in found.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference_adapters": ["docx"]}, "no adapter is called 'docx'"),
        ({"characters": "words"}, "characters is 'words'; valid: letters, all"),
        ({"nodes": "x"}, "nodes is 'x'; valid: omnidocbench, paper"),
        ({"normalisation": {"punctuation": True}}, "would take the markup away"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        create("page", options)


def test_intervals_treat_kinds_that_no_page_has_as_none():
    made = create("page")
    cases = cases_of([("абв", "абв"), ("абг", "абв"), ("", "абв")])
    figures = {one.measure: one for one in aggregate(cases, made.score(cases), [made], replicates=20)}
    assert figures["page_overall"].ci_low is not None
    assert figures["page_teds"].value is None
