"""Workbooks: which sheet is read, and cells that are refused by name, in each kind of file."""

from __future__ import annotations

import base64
import datetime
import zipfile
import zlib
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, LoadedDataset, open_dataset
from runner.datasets.sheets import read_sheet
from runner.datasets.tables import Cells
from tests.runner.datasets.bad_input import has, refusal

HEADER = ["File_name", "Question", "Answer"]
# Written by xlwt 1.3: sheets `old` (very hidden), `seen` (a merged file name; 007, 7 as 000, 0.15 as 0%) and `bad` (a
# date, a truth value, a number of 20 digits, #N/A). Nothing that is kept up writes .xls.
XLS = (
    "eNrtWF1IVEEUPnPvXd1dV13/Ag0WEbIykY0e6sVWw/RJ0V76IbBd9yLmdq9cNzQfyrJ9DIKeiiAEC3rRIuiHIuqth8BIIggCLeqlhwoKelC3c86d"
    "lV1b0YUylHsu98zMmflm5s755szsvpoumR2/WzUHy2Q/qLCY9EBemk3g60kV/ID1ySRlU6kb36QjG0o8bnRkngseF77MJx+Sv+dAgTvac9QAH/A9"
    "DgPQYRp69TrKAZ5DWNAcGkUeck9BRl5HXQSVPLNS1j2sy1hPcesnrJvYcol1I7adFcdgOtRRtw97oueIUsN1RagFPGDMO7bshgp4QUw+d1nYrHdB"
    "s9UXjm36ioDmgwlAGrTphm5R2Q03cdUhGAwGtGK4BV6AlpaG9vaGoyizUI50mYCfyWqAH6m48Kzasa+vXQDaf2Xa81ewk0Oz2T34ZLN70enL7VcU"
    "DWAUkicEbZ0EFMBXNND2NGPRBPjgBh8aGgzqukHVb+hgwOpIODoPw7h9advxUdLaF9O7jfApHVt0ndYH432mgeBmY3BIt1wA4YaTA71I0i7MD1mm"
    "0YsDxfXhOHNyLxpHdMscRMYO6FaPbsSxOhqO65hETDOGSQwx2Ey3LNPy0pgc7vwZ4a6QQ4APdRSKOV/CgcCPqzV/+/vr9khnqJsto3zE2QfhNloF"
    "SMJ5QiC4iGsUsD8VoI7zu1hf4F63cr6KdTnuOUxrOytkpnWM21zk2locZw/LTGh7Wn4H5hNfuh4GEh9DOzE/2TY3Uj75NjQONbiaURnaxqBe1Itr"
    "V0kehVKpkAHzPevKP4KnW/HLuSflaV8MC7ThUUpY2yVaHbFUUuRaEVpkQQtGq7K9YLS2VCK0iy4bSincZ1hT2nVjPfylOf5a1V95Gf7Kl2hlGfop"
    "fp8ix6bWtl9o/c8qVFLwewISq2bBqmlYlbEeiVURWwYhLH2Sc1LtKyqxRvkfrHE5rFmVNV7pPWINnlPDSlbW2ExJR9ueKaBVVtzMG5pJNtbYTEnH"
    "2rzxUTv0lMrYzzPBb1P3RAv1oGXpQcvoQeMeCuXoGvdQJ1aOT4444ogjG1aEvLSq8jLkksdlvvxfZwHfRedvkk0rh8DEJ44/8Q6CgakFZ3LizxZw"
    "iVRfYo2Y1P+FJIdxdAv6IcLz6M+Zv3jdEenfs2ag/+9toVzHX8xlnv94/N/Q7Xrh"
)


def opened(path: Path, **options: str) -> LoadedDataset:
    return open_dataset(DatasetConfig(format="spreadsheet", path=str(path), options=options), pictures=False)


def references(dataset: LoadedDataset) -> list[str]:
    return [sample.references[0] for sample in dataset]


def book(folder: Path, **sheets: list[list[object]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in (HEADER, *rows):
            sheet.append(row)
        if name.startswith("hidden"):
            sheet.sheet_state = name
    made.save(folder / "a.xlsx")
    return folder / "a.xlsx"


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_the_first_visible_sheet_is_read_and_named(tmp_path: Path, state: str):
    path = book(tmp_path, old=[["a.jpg", "Кто?", "Сидоров"]], new=[["a.jpg", "Кто?", "Иванов"]])
    made = openpyxl.load_workbook(path)
    made["old"].sheet_state = state
    made.active = 1
    made.save(path)
    dataset = opened(path)
    assert references(dataset) == ["Иванов"]
    (note,) = dataset.notes
    has(note, "sheet 'new' was read, the first that is visible", "not read: 'old' (hidden)", "dataset.options.sheet=")
    named = opened(path, sheet="old")
    assert references(named) == ["Сидоров"] and "which is hidden" in named.notes[0]


def test_several_visible_sheets_are_told_of_and_one_is_not(tmp_path: Path):
    rows = [["a.jpg", "Кто?", "Я"]]
    assert "not read: 'second'" in opened(book(tmp_path, first=rows, second=rows)).notes[0]
    assert opened(book(tmp_path, first=rows)).notes == ()


def test_a_chart_sheet_is_passed_over(tmp_path: Path):
    path = book(tmp_path, data=[["a.jpg", "Кто?", "Я"]])
    made = openpyxl.load_workbook(path)
    made.create_chartsheet("chart", 0).add_chart(BarChart())
    made.save(path)
    assert references(opened(path)) == ["Я"]
    has(refusal(format="spreadsheet", path=str(path), options={"sheet": "chart"}), "no sheet 'chart'", "data")


def test_a_workbook_without_a_visible_sheet_of_cells(tmp_path: Path):
    path = book(tmp_path, data=[["a.jpg", "Кто?", "Я"]])
    made = openpyxl.load_workbook(path)
    made.create_chartsheet("chart").add_chart(BarChart())
    made["data"].sheet_state = "hidden"
    made.save(path)
    has(refusal(format="spreadsheet", path=str(path)), "no sheet of cells is visible", "data")


def test_cells_that_do_not_hold_what_they_show_are_named(tmp_path: Path):
    wrong = [datetime.datetime(2010, 9, 28), datetime.time(12, 30), datetime.timedelta(hours=30), True, "=B2", 10**20]
    path = book(tmp_path, data=[["a.jpg", "?", value] for value in [*wrong, "#N/A", 1234.5]])
    made = openpyxl.load_workbook(path)
    made["data"]["C8"].data_type = "e"
    made["data"]["C9"].number_format = "#,##0.00"
    made.save(path)
    message = refusal(format="spreadsheet", path=str(path))
    has(message, "row 2: column Answer (C2) holds 2010-09-28 as a date", "(C3) holds 12:30:00 as a time", "(C4) holds")
    has(
        message,
        "(C5) holds True as a bool",
        "(C6) holds a formula without a stored value",
        "spreadsheet program and save",
    )
    has(message, "(C7) holds '100000000000000000000': a number of more than 15 digits", "(C8) holds the error #N/A")
    has(message, "(C9) holds '1234.5': a number with the format '#,##0.00'", "format the column as text")


def test_what_no_column_reads_stops_nothing(tmp_path: Path):
    path = book(tmp_path, data=[["a.jpg", "Кто?", "Я"]])
    made = openpyxl.load_workbook(path)
    made["data"].append([])
    for place, value in (("D1", "made"), ("D2", datetime.date(2020, 1, 2)), ("E1", "of"), ("E2", "=1+1"), ("F1", "ok")):
        made["data"][place] = value
    made.save(path)
    (sample,) = opened(path)
    assert sample.meta["made"] == "2020-01-02" and "formula" in sample.meta["of"]


def test_a_formula_that_was_calculated_counts_and_an_empty_text_is_empty(tmp_path: Path):
    path = book(tmp_path, data=[["a.jpg", "Кто?", "=1"], ["a.jpg", "Где?", "=2"]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    for before, after in (
        ('<c r="C2"><f>1</f><v></v></c>', '<c r="C2" t="str"><f>1</f><v>Иванов</v></c>'),
        ('<c r="C3"><f>2</f><v></v></c>', '<c r="C3" t="str"><f>2</f><v></v></c>'),
    ):
        assert before in sheet.replace("<v />", "<v></v>").replace("<v/>", "<v></v>"), sheet
        sheet = sheet.replace("<v />", "<v></v>").replace("<v/>", "<v></v>").replace(before, after)
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in (parts | {"xl/worksheets/sheet1.xml": sheet.encode()}).items():
            packed.writestr(name, data)
    assert [sample.references for sample in opened(path)] == [("Иванов",), ()]


def test_a_workbook_of_1c_whose_parts_are_called_otherwise_than_listed(tmp_path: Path):
    path = book(tmp_path, data=[["a.jpg", "Кто?", "Иванов"]])
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name.replace("xl/styles", "xl/Styles").replace("xl/shared", "xl/Shared"), data)
    assert references(opened(path)) == ["Иванов"]


def test_headers_with_spaces_and_line_breaks(tmp_path: Path):
    made = openpyxl.Workbook()
    made.active.append(["File_name ", "Question\nof the page", " Answer"])
    made.active.append(["a.jpg", "Кто?", "Я"])
    made.save(tmp_path / "a.xlsx")
    assert read_sheet(tmp_path / "a.xlsx").header == ("File_name", "Question of the page", "Answer")


def test_the_older_format_keeps_the_same_rule(tmp_path: Path):
    path = tmp_path / "a.xls"
    path.write_bytes(zlib.decompress(base64.b64decode(XLS)))
    dataset = opened(path)
    assert references(dataset) == ["007", "007", "15%"]
    assert [sample.document for sample in dataset] == ["a.jpg"] * 3
    has(dataset.notes[0], "sheet 'seen' was read", "'old' (hidden), 'bad'")
    message = refusal(format="spreadsheet", path=str(path), options={"sheet": "bad"})
    has(
        message,
        "(C2) holds 2010-09-28 as a date",
        "(C3) holds True",
        "(C4) holds '4081781",
        "(C5) holds the error #N/A",
    )


def test_an_xlsx_that_is_called_xls_is_read_as_what_it_is(tmp_path: Path):
    made = openpyxl.Workbook()
    made.active.append(["File_name", "Question", "Answer"])
    made.active.append(["a.jpg", "Кто?", 7])
    made.active["C2"].number_format = "000"
    made.save(tmp_path / "a.xlsx")
    (tmp_path / "a.xlsx").rename(tmp_path / "a.xls")
    (row,) = read_sheet(tmp_path / "a.xls").lines(["Answer"])
    assert isinstance(row, Cells) and row.texts["Answer"] == "007"


# ------------------------------------------------------------------------------------------------- OpenDocument

OASIS = "urn:oasis:names:tc:opendocument:xmlns"
ODS = """<?xml version="1.0"?><office:document-content
 xmlns:office="{oasis}:office:1.0" xmlns:table="{oasis}:table:1.0" xmlns:text="{oasis}:text:1.0"
 xmlns:style="{oasis}:style:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">
<office:automatic-styles><style:style style:name="h" style:family="table">
<style:table-properties table:display="false"/></style:style></office:automatic-styles><office:body><office:spreadsheet>
<table:table table:name="old" table:style-name="h"><table:table-row><table:table-cell office:value-type="string">
<text:p>old</text:p></table:table-cell></table:table-row></table:table>
<table:table table:name="seen">{rows}
<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/>
</table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"""


def ods(folder: Path, *rows: str) -> Path:
    texts = "".join(
        f"<table:table-cell office:value-type='string'><text:p>{name}</text:p></table:table-cell>" for name in HEADER
    )
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in (texts, *rows))
    with zipfile.ZipFile(folder / "a.ods", "w") as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("META-INF/manifest.xml", f"<manifest:manifest xmlns:manifest='{OASIS}:manifest:1.0'/>")
        packed.writestr("content.xml", ODS.replace("\n", "").format(rows=lines, oasis=OASIS))
    return folder / "a.ods"


def cell(text: str, more: str = "office:value-type='string'") -> str:
    return f"<table:table-cell {more}>{f'<text:p>{text}</text:p>' if text else ''}</table:table-cell>"


def test_opendocument_is_read_as_shown(tmp_path: Path):
    name = cell("a.jpg", "office:value-type='string' table:number-rows-spanned='3'")
    covered = "<table:covered-table-cell/>"
    dataset = opened(ods(
        tmp_path,
        name + cell("?") + cell("15%", "office:value-type='percentage' office:value='0.15'"),
        covered + cell("?") + cell("28.09.2010", "office:value-type='date' office:date-value='2010-09-28'"),
        covered + cell("?") + cell("a<text:s text:c='2'/>b</text:p><text:p>c"),
    ))  # fmt: skip
    assert references(dataset) == ["15%", "28.09.2010", "a  b\nc"]
    assert [sample.document for sample in dataset] == ["a.jpg"] * 3
    assert "'old' (hidden)" in dataset.notes[0]


def test_opendocument_without_what_is_shown_is_refused(tmp_path: Path):
    start = cell("a.jpg") + cell("?")
    path = ods(
        tmp_path,
        start + cell("#N/A", "office:value-type='string' calcext:value-type='error'"),
        start + cell("", "table:formula='of:=[.A1]'"),
        start + cell("", "office:value-type='float' office:value='7'"),
        start + cell("4,08E+19", "office:value-type='float' office:value='4.08E19'"),
        start + cell("40817810099910000000", "office:value-type='float' office:value='4.0817810099910E19'"),
    )
    with pytest.raises(Refused) as refused:
        opened(path)
    has(
        str(refused.value),
        "(C2) holds the error #N/A",
        "(C3) holds a formula",
        "(C4) holds '7': a float without the text",
    )
    has(str(refused.value), "(C5) holds '4.08E19'", "(C6) holds '4.0817810099910E19': a number of more than 15 digits")
