#!/bin/sh
# What TEDS of docling-metrics-table 0.16.0 (PyPI) gives for an answer without a table, and for no answer.
#
# Guess, written down before it was run: 0, the lowest value that TEDS has by the paper's formula (Zhong et al. 2020).
# Seen: TEDScorer, the one in Python, which counts misread letters as the paper does, gives 1 - 7/6 for a table of two rows
# and two columns, and -0.5 for one of a single cell: the element `table` is not among the nodes that it divides by, but
# putting it in place of a paragraph counts as an edit. TableMetric, in C++, gives 0. So one page on which a parser finds no
# table weighs more than it can, and a mean of a small table and a perfect one is 0.25 instead of 0.5. An answer that
# is empty has no TEDS at all: both raise lxml's ParserError, and a loop that passes over errors leaves the page out,
# which rewards the parser for saying nothing. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "docling-metrics-table==0.16.0" "apted==1.0.3"
"$folder/venv/bin/python" - <<'PYTHON'
from docling_metrics_table import TableMetric, TableMetricHTMLInputSample
from docling_metrics_table.docling_metrics_table import TableMetricKind
from docling_metrics_table.utils.teds import TEDScorer
from lxml import html
from lxml.etree import ParserError

FOUR = "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
ONE = "<table><tr><td>a</td></tr></table>"


def in_python(answer: str, reference: str) -> float:
    return TEDScorer().teds(html.fromstring(answer), html.fromstring(reference), structure_only=False)


def in_cpp(answer: str, reference: str) -> float:
    sample = TableMetricHTMLInputSample(id="a", html_a=answer, html_b=reference)
    return TableMetric(metrics=[TableMetricKind.TEDS]).evaluate_sample(sample).teds.teds


for name, reference, expected in (("two rows and columns", FOUR, 1 - 7 / 6), ("one cell", ONE, -0.5)):
    found = in_python("<p>no table here</p>", reference), in_cpp("<p>no table here</p>", reference)
    print(f"docling-metrics-table 0.16.0, {name}, an answer without a table: Python {found[0]:.4f}, C++ {found[1]:.4f}")
    assert abs(found[0] - expected) < 1e-9 and found[1] == 0, found
assert in_python(FOUR, FOUR) == in_cpp(FOUR, FOUR) == 1
for scorer in (in_python, in_cpp):
    try:
        raise SystemExit(f"an empty answer has a TEDS now: {scorer('', FOUR)}")
    except ParserError as error:
        print(f"an empty answer: ParserError: {error}")
PYTHON
echo "as described"
