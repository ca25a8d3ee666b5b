#!/bin/sh
# What TEDS of docling-metrics-table 0.16.0 (PyPI) makes of one misread letter in a cell.
#
# Guess, written down before it was run: a quarter of a cell's letters wrong costs a quarter of a node, as in the paper of
# TEDS (Zhong et al. 2020) and in PubTabNet's script.
# Seen: TableMetric, whose C++ compares cells as equal or not, counts the cell as wrong as a whole, while TEDScorer of the
# same package, in Python, counts the share of letters. So a reader that misreads one letter in each cell gets a TEDS near
# 0 from the one and near 1 from the other. (The two also divide by other numbers of nodes: with and without the table.)
# Fails where that changes.
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

ONE = "<table><tr><td>abcd</td><td>efgh</td></tr></table>"
OTHER = "<table><tr><td>abcx</td><td>efgx</td></tr></table>"
sample = TableMetricHTMLInputSample(id="a", html_a=ONE, html_b=OTHER)
in_cpp = TableMetric(metrics=[TableMetricKind.TEDS]).evaluate_sample(sample).teds.teds
in_python = TEDScorer().teds(html.fromstring(ONE), html.fromstring(OTHER), structure_only=False)
print(f"docling-metrics-table 0.16.0, a letter of four misread in both cells: C++ {in_cpp:.4f}, Python {in_python:.4f}")
assert abs(in_cpp - (1 - 2 / 4)) < 1e-9, "the C++ no longer counts each cell as a whole: 1 - 2/4"
assert abs(in_python - (1 - 0.5 / 3)) < 1e-9, "the Python no longer counts shares of letters: 1 - 0.5/3"
PYTHON
echo "as described"
