"""CSV as people have it: Excel's line `sep=`, blank lines above the header, a page's text in a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, open_dataset
from runner.datasets.tables import Cells
from runner.datasets.text_files import read_csv
from tests.runner.datasets.bad_input import GOOD, HEADER, annotations, has


def table(folder: Path, text: str, **keys: str) -> list[dict[str, str]]:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    lines = list(read_csv(path, "a table", **keys).lines(("a", "b")))
    assert all(isinstance(line, Cells) for line in lines), lines
    return [dict(line.texts) for line in lines]


@pytest.mark.parametrize("sign", [";", ",", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\n", " \r\n\r\n", "sep={}\r\n", "\nSEP={}\n", '"sep={}"\n', "\ufeffsep={}\n"])
def test_the_separator_is_what_the_file_says_or_its_header_has(tmp_path: Path, sign: str, start: str):
    text = start.format(sign) + f"a{sign}b\n1{sign}2\n"
    assert table(tmp_path, text) == [{"a": "1", "b": "2"}]


def test_a_quoted_sign_in_the_header_separates_nothing(tmp_path: Path):
    assert table(tmp_path, '"a;b;c;d",b\n1,2\n') == [{"a;b;c;d": "1", "b": "2"}]


def test_the_first_line_of_a_file_wins_over_the_usual_separator_and_not_over_a_given_one(tmp_path: Path):
    lines = ("sep=,", HEADER.replace(";", ","), GOOD.replace(";", ","))
    (tmp_path / "1.jpg").touch()
    (tmp_path / "annotation.csv").write_text("\n".join(lines), "utf-8")
    (sample,) = open_dataset(DatasetConfig(format="annotations", path=str(tmp_path)))
    assert sample.references == ("Я",)
    has(annotations(tmp_path, *lines, options={"separator": ";"}), "annotation.csv:1: the first line says sep=,")


@pytest.mark.parametrize("sign", [",", "\t", "|"])
def test_another_separator_than_the_usual_is_refused_with_the_key_that_sets_it(tmp_path: Path, sign: str):
    lines = [line.replace(";", sign) for line in (HEADER, GOOD)]
    value = r"\t" if sign == "\t" else f'"{sign}"'
    has(annotations(tmp_path, *lines), f"set '+dataset.options.separator={value}'")
    has(
        annotations(tmp_path, HEADER, GOOD, options={"separator": sign}),
        "columns are separated by semicolons",
        "set '+dataset.options.separator=\";\"'",
    )


def test_a_tab_can_be_given_on_a_command_line(tmp_path: Path):
    (tmp_path / "1.jpg").touch()
    (tmp_path / "annotation.csv").write_text("\n".join(line.replace(";", "\t") for line in (HEADER, GOOD)), "utf-8")
    options = {"separator": r"\t"}
    assert len(open_dataset(DatasetConfig(format="annotations", path=str(tmp_path), options=options))) == 1


def test_rows_are_named_by_their_line_in_the_file(tmp_path: Path):
    message = annotations(tmp_path, "", "sep=;", HEADER, GOOD, "1;2", GOOD.replace("Я", "#Н/Д"))
    has(message, "annotation.csv:5: 2 cells", "annotation.csv:6: column answer holds '#Н/Д'")


def test_a_cell_may_hold_a_long_text(tmp_path: Path):
    page = "слово " * 60_000
    (row,) = table(tmp_path, f"a;b\n1;{page}\n")
    assert row["b"] == page


def test_lost_values_are_refused_in_columns_that_are_read_and_nowhere_else(tmp_path: Path):
    (tmp_path / "t.csv").write_text('a;b\n="007";#REF!\n4,08E+19;x\n', encoding="utf-8")
    found = list(read_csv(tmp_path / "t.csv", "a table").lines(("a",)))
    assert isinstance(found[0], Cells) and found[0].texts == {"a": "007", "b": "#REF!"}
    assert "t.csv:3: column a holds '4,08E+19'" in str(found[1])
    (first, second) = read_csv(tmp_path / "t.csv", "a table").lines((), answers=("a",))
    assert (first.texts["a"], second.texts["a"]) == ("007", "4,08E+19"), "a model may have answered so"


def test_a_file_of_spaces_has_no_header(tmp_path: Path):
    (tmp_path / "t.csv").write_text("sep=;\n", encoding="utf-8")
    with pytest.raises(Refused, match="has no header"):
        read_csv(tmp_path / "t.csv", "a table")
