"""Whatever a dataset, a prompt or a config says, it is read and never run."""

import json
import zipfile
from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.datasets import sheets
from tests.conftest import CommandLine
from tests.faults.results import last

HOSTILE = (
    "{{ 7 * 7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "${oc.env:HOME}",
    "!!python/object/apply:os.system ['touch ran']",
    "=cmd|'/c calc'!A1",
    "__import__('os').system('touch ran')",
    "$(touch ran) `touch ran`",
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    return tmp_path


def test_questions_and_references_are_text(cli: CommandLine, picture: Path):
    rows = [
        {"id": str(n), "images": ["a.png"], "question": text, "references": [text]} for n, text in enumerate(HOSTILE)
    ]
    (picture / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = ("backend.name=echo", "tracking=none", "metrics=[exact_match]", "dataset=jsonl", "dataset.path=rows.jsonl")
    ended = cli(*base)
    assert ended.code == 0, ended.err
    job = last(cli.folder)
    assert [row["prompt"] for row in job["rows"]] == list(HOSTILE), "said as they stand, answered by their echo"
    assert job["metrics"]["quality/exact_match"] == 1.0
    assert not (picture / "ran").exists()
    cells = (job["folder"] / "scores_by_id.csv").read_text(encoding="utf-8-sig")
    assert "\n=" not in cells and ";=" not in cells, "no cell of a table is a formula"


@pytest.mark.parametrize(
    "content",
    ["name: x\nlicence: !!python/object/apply:os.system ['touch ran']\n", "name: x\n_target_: os.system\n"],
    ids=["a tag", "_target_"],
)
def test_a_config_can_not_run_anything(cli: CommandLine, content: str):
    (cli.folder / "own" / "model").mkdir(parents=True)
    (cli.folder / "own" / "model" / "hostile.yaml").write_text(content)
    ended = cli("--config-dir", "own", "model=hostile", "tracking=none")
    assert ended.code == 2 and "Traceback" not in ended.err, ended.err
    assert not (cli.folder / "ran").exists()


def test_a_prompt_file_is_data_and_its_template_sandboxed(cli: CommandLine):
    (cli.folder / "p.yaml").write_text("!!python/object/apply:os.system ['touch ran']\n")
    assert cli("prompt=collection", "prompt.path=p.yaml", "tracking=none").code == 2
    template = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    ended = cli("backend.name=echo", "tracking=none", f'prompt.template="{template}"', "dataset.limit=1")
    assert ended.code != 0 and "Traceback" not in ended.err
    assert not (cli.folder / "ran").exists()


def test_a_spreadsheet_that_unpacks_to_too_much(tmp_path: Path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet,
    ):
        for _ in range(1100):
            sheet.write(b"0" * 2**20)
    assert (tmp_path / "bomb.xlsx").stat().st_size < 2 * 2**20
    with pytest.raises(Refused, match=r"bomb\.xlsx: it unpacks to 1\.1 GiB"):
        sheets.read_sheet(tmp_path / "bomb.xlsx")
