"""The small inputs of ../shared/cases that once went wrong: each run.sh prints what its expected.txt asks for.

Those that start a server of their own (fake.py) are left to tests/backends, where the same forms of answers are tested.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.patience import patient

CASES = ROOT.parent / "shared" / "cases"
# Case -> what must stand in its output, and what must not.
EXPECTED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "amount_three_decimals": ((r"0,125 -> 0\.125\b", r"0\.125 -> 0\.125\b", r"1,234\.567 -> 1234\.567\b"), ()),
    "azure_api_version": ((r"api-version|nothing was started",), ("a key belongs into the variable",)),
    "csv_blank_first_line": ((r"\[\(",), ("refused",)),
    "csv_long_cell": ((r"\[\(",), ("refused",)),
    "csv_sep_line": ((r"\[\(|remove the line sep=",), ("missing column",)),
    "csv_spreadsheet_debris": ((r"refused|4,08", r"#Н/Д|####"), ()),
    "decimal_comma": ((r"\[\(|decimal point", r"13\.9"), ("seconds",)),
    "invisible_characters": ((r"\('exact_match', 1\.0\)", r"\('cer', 0\.0\)"), (r"\('exact_match', 0",)),
    "jsonl_answer_key": ((r"dataset\.columns=\{references: answers?\}",), ()),
    "judge_picture_scaled": ((r"g16\.png judge sees: \((?!255)", r"la\.png"), (r"\(255, 255\)", r"\(0, 0\)")),
    "nfd_file_name": ((r"\[\(|same name",), ()),
    "pdf_form_values": ((r"form\.pdf .*: 0\b", r"form_noap\.pdf .*: 0\b"), ("255",)),
    "rouge_signs_only": ((r"— \{'rouge1': \(None, '[^']+'\)",), (r"\(0\.0, ",)),
    "structured_list": ((r"json_match",), (r"'json_match': 1\.0",)),
    "structured_truncated": ((r"'json_valid': 0", r"'json_invented': 0"), (r"'json_valid': 1",)),
    "table_two_questions_an_image": (
        (r"reader-large", r"reader-small", r"1\.000", r"0\.000"),
        ("KeyError", "repeats/"),
    ),
    "tiff_16bit_big_endian": ((r"\(4\d, 2[12]\d\)",), (r"\(255, 255\)",)),
    "xlsx_answers_date_account": ((r"refused|28\.09\.2010",), ("2010-09-28'", r"4\.0817\d+e\+19'")),
    "xlsx_float_artefact": ((r"'0\.3'|refused",), (r"0\.30000000000000004",)),
    "xlsx_formula_error_cells": ((r"refused.*\n(.*\n)*.*refused",), ()),
    "xlsx_hidden_first_sheet": ((r"Иванов",), (r"Сидоров",)),
}


def without_server() -> list[str]:
    """The cases that start no server."""
    folders = sorted(CASES.iterdir()) if CASES.is_dir() else []
    return [folder.name for folder in folders if (folder / "run.sh").exists() and not (folder / "fake.py").exists()]


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases (../shared/cases) are not on this machine")
def test_each_case_has_its_expectation():
    assert without_server() == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_case(name: str, tmp_path: Path):
    if not CASES.is_dir():
        pytest.skip("the shared cases (../shared/cases) are not on this machine")
    folder = tmp_path / name
    shutil.copytree(CASES / name, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    done = subprocess.run(
        ["sh", "run.sh"],
        cwd=folder,
        env=os.environ | {"PY": sys.executable},
        capture_output=True,
        text=True,
        timeout=patient(120),
        check=False,
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    wanted, unwanted = EXPECTED[name]
    assert not [pattern for pattern in wanted if not re.search(pattern, output)], output
    assert not [pattern for pattern in unwanted if re.search(pattern, output)], output
