import doctest
from pathlib import Path

import pytest

import metrics
from metrics.document import main, measures, table, updated
from metrics.registry import BUILT_IN

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_document_is_current():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert updated(text) == text, "run: python -m metrics.document docs/metrics.md"


def test_every_measure_has_a_row_with_a_formula():
    rows = table().splitlines()[2:]
    assert len(rows) == sum(len(measures(name)) for name in BUILT_IN)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 7
        assert all(cells)


def test_the_command_rewrites_only_the_table(tmp_path):
    page = tmp_path / "page.md"
    current = DOCUMENT.read_text(encoding="utf-8")
    page.write_text(current.replace("| `cer` |", "| `old` |"), encoding="utf-8")
    assert main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") == current
    assert main([]) == 2
    with pytest.raises(ValueError, match="marks"):
        updated("no table here")


def test_the_library_example_of_the_package_runs():
    result = doctest.testmod(metrics)
    assert result.attempted >= 8
    assert result.failed == 0
