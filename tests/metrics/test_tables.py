"""TEDS beside outside definitions: docling-metrics-table 0.16.0 and, over apted 1.0.3, the script of PubTabNet."""

import random

import pytest
from apted import APTED
from docling_metrics_table import TableMetric, TableMetricHTMLInputSample
from docling_metrics_table.docling_metrics_table import TableMetricKind
from docling_metrics_table.utils.teds import CustomConfig, TEDScorer
from lxml import html

from metrics import tables
from metrics.tables import Cell, Table

DOCLING = TableMetric(metrics=[TableMetricKind.TEDS])


def rows_of(*rows: list[str]) -> str:
    return "<table>" + "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows) + "</table>"


FIXED = [
    (rows_of(["a", "b"]), rows_of(["a", "b"])),
    (rows_of(["a", "b"]), rows_of(["a"])),
    (rows_of(["a", "b"], ["в", "г"]), rows_of(["в", "г"], ["a", "b"])),
    (rows_of(["Иванов", "12,50"]), rows_of(["Ивонов", "12.50"])),
    (rows_of(["a", "b", "c"], ["d", "e", "f"]), rows_of(["a", "b", "c", "d", "e", "f"])),
    (rows_of(["a"], ["b"], ["c"]), rows_of(["a", "b", "c"])),
    (rows_of([], ["a"]), rows_of(["a"], [])),
    (rows_of(["", ""]), rows_of(["", ""], ["", ""])),
    ('<table><tr><td colspan="2">a</td></tr></table>', rows_of(["a", ""])),
    ('<table><tr><th rowspan="3">a</th><td>b</td></tr><tr><td>c</td></tr></table>', rows_of(["a", "b"], ["c"])),
]


def generated(number: int, seed: int) -> list[tuple[str, str]]:
    """Return pairs of small random tables with empty rows, spans and header cells."""
    generator = random.Random(seed)

    def table() -> str:
        rows = ""
        for _ in range(generator.randint(0, 6)):
            cells = ""
            for _ in range(generator.choice([0, 1, 2, 3, 3, 3])):
                tag = generator.choice(["td", "td", "th"])
                span = generator.choice(["", "", "", ' colspan="2"', ' rowspan="3"'])
                text = "".join(generator.choice("абв1") for _ in range(generator.randint(0, 5)))
                cells += f"<{tag}{span}>{text}</{tag}>"
            rows += f"<tr>{cells}</tr>"
        return f"<table>{rows}</table>"

    return [(table(), table()) for _ in range(number)]


def edits_by_apted(one: str, other: str, structure: bool) -> float:
    """Return the edit distance of PubTabNet's definition: docling's Python trees and costs, apted's algorithm."""
    trees = [TEDScorer().html_to_table_tree(html.fromstring(page), convert_cell=not structure) for page in (one, other)]
    return APTED(*trees, CustomConfig()).compute_edit_distance()


@pytest.mark.parametrize("structure", [False, True])
def test_edits_are_those_of_apted_to_nine_digits(structure):
    for one, other in (*FIXED, *generated(300, 1)):
        ours = tables.distance(tables.of_html(one), tables.of_html(other), structure=structure)
        assert ours == pytest.approx(edits_by_apted(one, other, structure), abs=1e-9), (one, other)


def test_teds_of_the_structure_is_that_of_docling_metrics_table():
    for one, other in (*FIXED, *generated(300, 2)):
        theirs = DOCLING.evaluate_sample(
            TableMetricHTMLInputSample(id="a", html_a=one, html_b=other, structure_only=True)
        )
        ours = tables.teds(tables.of_html(one), tables.of_html(other), structure=True, count_table=True)
        assert ours == pytest.approx(theirs.teds.teds, abs=1e-9), (one, other)


def test_docling_metrics_table_counts_a_misread_letter_as_a_whole_cell():
    """docling-metrics-table 0.16.0: its C++ compares cells as equal or not, its Python TEDScorer by their edits."""
    one, other = rows_of(["abcd"]), rows_of(["abcx"])
    theirs = DOCLING.evaluate_sample(TableMetricHTMLInputSample(id="a", html_a=one, html_b=other))
    assert theirs.teds.teds == pytest.approx(1 - 1 / 3)
    in_python = TEDScorer().teds(html.fromstring(one), html.fromstring(other), structure_only=False)
    assert in_python == pytest.approx(1 - 0.25 / 2)
    assert tables.teds(tables.of_html(one), tables.of_html(other)) == pytest.approx(in_python)


def test_the_table_is_a_node_in_the_paper_and_not_in_omnidocbench():
    one, other = Table(((Cell("a"), Cell("b")),)), Table(((Cell("a"),),))
    assert tables.teds(one, other) == pytest.approx(1 - 1 / 3)
    assert tables.teds(one, other, count_table=True) == pytest.approx(1 - 1 / 4)


def test_large_tables_are_cut_into_steps_without_a_change_of_the_number(monkeypatch):
    pairs = [(tables.of_html(one), tables.of_html(other)) for one, other in generated(50, 3)]
    before = [tables.distance(*pair) for pair in pairs]
    monkeypatch.setattr(tables, "_PAIRS_AT_ONCE", 1)
    assert [tables.distance(*pair) for pair in pairs] == before


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("<table><tr><td>a<td>b<tr><td>c", [["a", "b"], ["c"]]),
        ("<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>", [["a"], ["b"]]),
        ("<TABLE><TR><TD>a &amp; b<br>c</TD></TR></TABLE>", [["a & b c"]]),
        ("<table><tr><td><b>Итого:</b> <i>5</i></td></tr></table>", [["Итого: 5"]]),
        ("<table><tr><td><table><tr><td>x</td></tr></table></td><td>b</td></tr></table>", [["x", "b"]]),
        ("<table><td>a</td><td>b</td></table>", [["a", "b"]]),
        ("<table><tr></tr></table>", [[]]),
        ("<table></table>", []),
        ("<table>\0<tr><td>\ud800a</td></tr></table>", [["?a"]]),
    ],
)
def test_html_is_read_as_a_browser_reads_it(source, rows):
    assert [[cell.text for cell in row] for row in tables.of_html(source).rows] == rows


def test_spans_that_are_none_are_one():
    (row,) = tables.of_html('<table><tr><td colspan="x">a<td colspan="0">b<td rowspan="99999999999">c').rows
    assert [(cell.colspan, cell.rowspan) for cell in row] == [(1, 1), (1, 1), (1, 1000)]


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (["| a | b |", "|---|:-:|", "| 1 | 2 |"], [["a", "b"], ["1", "2"]]),
        (["a | b", "-|-", "1 | 2"], [["a", "b"], ["1", "2"]]),
        (["| a | b |", "|---|---|", "| 1 |"], [["a", "b"], ["1", ""]]),
        (["| a | b |", "|---|---|", r"| 1 \| 2 | **x** | 3 |"], [["a", "b"], ["1 | 2", "x", "3"]]),
        (["| | b |", "|---|---|", "| | |"], [["", "b"], ["", ""]]),
    ],
)
def test_markdown_tables(lines, rows):
    assert [[cell.text for cell in row] for row in tables.of_pipes(lines).rows] == rows
