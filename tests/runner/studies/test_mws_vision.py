"""experiment=mws_vision and mws_antifraud on data of the same format that the test makes, beside the leaderboard."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from runner.base.errors import Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.opening import open_dataset
from runner.studies.published import Published
from tests.conftest import ROOT, CommandLine

# The echo backend answers with the question, so each question says what is answered.
QUESTIONS = (
    ("full-page OCR ru", "Акт № 17 от 12 марта", ["Акт № 17 от 13 марта"]),
    ("document parsing ru", "# Акт\nстрока", ["# Акт\nстрока\nстрока"]),
    ("text grounding ru", "Печать: [10, 10, 30, 30]", [10, 10, 30, 20]),
    ("key information extraction ru", '{"Номер": "17"}', ['{"Номер": ["17"], "Дата": "12.03.2024"}']),
    ("reasoning VQA ru", "сумма 15 000 руб.", ["15 000", "15000"]),
)
LABELLED = (("original", "original", []), ("edited", "edited", ["дата"]), ("ai_gen", "original", []))
ECHO = ("backend=hf", "backend.name=echo", "model=demo_s", "quant=bf16,fp32", "hydra.sweeper.params=null")
TASKS = ("page_ocr", "parsing", "grounding", "kie", "vqa")


def made(folder: Path, *, repeats: int = 2) -> list[dict]:
    """Write a JSON list with its pictures; return its rows."""
    (folder / "business").mkdir(parents=True)
    rows = []
    for number in range(repeats):
        Image.new("RGB", (60, 40), (number, 255, 255)).save(folder / "business" / f"{number}.png")
        for task, question, answers in QUESTIONS:
            rows.append({
                "id": str(len(rows)), "type": task, "dataset_name": "business", "image_path": f"/business/{number}.png",
                "question": question, "answers": answers,
            })  # fmt: skip
    (folder / "data.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return rows


@pytest.fixture
def wordnet(cli: CommandLine) -> CommandLine:
    """The command line with a WordNet that holds no word, which is enough for Russian texts."""
    folder = cli.folder / "nltk_data" / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    parts = [f"{kind}.{part}" for kind in ("index", "data") for part in ("adj", "adv", "noun", "verb")]
    exceptions = [f"{part}.exc" for part in ("adj", "adv", "noun", "verb")]
    for name in (*parts, *exceptions, "cntlist.rev", "lexnames", "index.sense"):
        (folder / name).touch()
    cli.environment["NLTK_DATA"] = str(cli.folder / "nltk_data")
    return cli


def test_two_quantisations_stand_in_the_leaderboard_by_task(wordnet: CommandLine):
    made(wordnet.folder / "data" / "mws_vision_bench")
    ended = wordnet("-m", "experiment=mws_vision", *ECHO, timeout=300)
    assert ended.code == 0, ended.err
    jobs = [json.loads(path.read_text("utf-8")) for path in wordnet.folder.glob("multirun/*/*/*/metrics.json")]
    assert len(jobs) == 2
    for job in jobs:
        figures = job.get("metrics", job)
        values = [figures[f"quality/mws_{task}"] for task in TASKS]
        assert values[1:] == pytest.approx([3 / 4, 1 / 2, 1 / 2, 1])
        assert figures["quality/mws_overall"] == pytest.approx(sum(values) / 5)
        assert figures["samples/unscored"] == 0 and figures["samples/total"] == 10
    assert "here: " in ended.out and "more lines of this leaderboard" in ended.out
    assert "public validation set" in ended.out and "(n: 10 here, 1302 there)" in ended.out
    (page,) = wordnet.folder.glob("multirun/**/report.html")
    html = page.read_text(encoding="utf-8")
    section = html[html.index("Compared with published figures") :]
    rows = re.findall(r"<tr class=\"(.*?)\"><th class=\"text\" scope=\"row\" data-value=\"(.*?)\"", section)
    own = [name for kind, name in rows if kind == "taken"]
    assert len(own) == 2 and len(rows) == 48, "all published models, and both candidates"
    assert "Qwen2.5-VL-72B-Instruct" in section and "0.621" in section


def test_the_antifraud_set_and_its_column(cli: CommandLine):
    folder = cli.folder / "data" / "mws_antifraud_bench"
    folder.mkdir(parents=True)
    Image.new("RGB", (60, 40)).save(folder / "0.png")
    rows = []
    for number, (label, answered, reasons) in enumerate(LABELLED):
        question = json.dumps({"label": answered, "arguments": "изменена дата"}, ensure_ascii=False)
        Image.new("RGB", (60, 40), (number, 0, 0)).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "type": "antifraud ru", "dataset_name": label,
                     "question": question, "answers": reasons})  # fmt: skip
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    ended = cli(
        "experiment=mws_antifraud", "backend=hf", "backend.name=echo", "model=demo_s", "hydra.mode=RUN", "tracking=none"
    )
    assert ended.code == 0, ended.err
    (path,) = cli.folder.glob("outputs/**/metrics.json")
    job = json.loads(path.read_text("utf-8"))
    figures = job.get("metrics", job)
    assert figures["quality/mws_antifraud_accuracy"] == pytest.approx(2 / 3)
    assert figures["quality/mws_antifraud"] == pytest.approx(0.75 / 3 + 0.5)
    assert figures["samples/unscored"] == 0, "an original has no reason, and nothing is wrong with that"


def test_data_that_are_not_there_say_how_to_get_them(wordnet: CommandLine):
    ended = wordnet("-m", "experiment=mws_vision", *ECHO)
    assert ended.code == 2 and "data/mws_vision_bench does not exist" in ended.err
    assert "hf download MTSAIR/MWS-Vision-Bench --repo-type dataset" in " ".join(ended.err.split())


def opened(path: Path, **keys):
    return open_dataset(DatasetConfig(name="mws", format="mws_vision", path=str(path), **keys))


def test_the_three_forms_of_the_files_are_the_same_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    rows = made(tmp_path / "list")
    listed = opened(tmp_path / "list")
    lines = tmp_path / "list" / "lines.jsonl"
    lines.write_text("\n".join(json.dumps(row | {"file_name": row["image_path"]}) for row in rows), encoding="utf-8")
    as_lines = opened(lines)
    table = []
    for row in rows:
        picture = {"bytes": (tmp_path / "list" / row["image_path"].lstrip("/")).read_bytes(), "path": None}
        table.append(row | {"answers": list(map(str, row["answers"])), "image": picture})
    (tmp_path / "hub" / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    parquet = opened(tmp_path / "hub")
    for other in (as_lines, parquet):
        kept = [(one.id, one.question, one.references, one.field, one.doc_class) for one in listed]
        assert [(one.id, one.question, one.references, one.field, one.doc_class) for one in other] == kept
    assert listed.samples[2].references == ("[10, 10, 30, 20]",)
    assert len({one.document for one in parquet}) == 2, "the same picture is the same document"


def test_a_subset_is_drawn_by_seed(tmp_path: Path):
    made(tmp_path / "list", repeats=8)
    few, more = opened(tmp_path / "list", limit=6, limit_seed=1), opened(tmp_path / "list", limit=12, limit_seed=1)
    ids = [one.id for one in few]
    assert set(ids) < {one.id for one in more} and ids == sorted(ids, key=int), "in the order of the file"
    assert ids != [one.id for one in opened(tmp_path / "list", limit=6, limit_seed=2)]
    assert "6 of 40 samples were drawn at random, with dataset.limit_seed=1" in few.notes
    with pytest.raises(Refused, match=r"dataset\.limit=100"):
        opened(tmp_path / "list", limit_seed=1)


def test_rows_that_the_benchmark_could_not_score_are_told_of(tmp_path: Path):
    rows = made(tmp_path / "list", repeats=1)
    path = tmp_path / "list" / "data.json"
    path.write_text(json.dumps([*rows, rows[4] | {"id": "x", "type": "new task ru"}]))
    assert any("'new task ru' (1)" in note for note in opened(path).notes)
    path.write_text(json.dumps([*rows, rows[0] | {"id": "x", "answers": []}]))
    with pytest.raises(Refused, match="full-page OCR ru has 0 answers"):
        opened(path)
    path.write_text(json.dumps([rows[4] | {"answers": "15000"}]))
    with pytest.raises(Refused, match=r"\[0\]: answers is no list"):
        opened(path)
    (tmp_path / "list" / "more.json").write_text("[]")
    with pytest.raises(Refused, match=r"holds 2 files \*\.json"):
        opened(tmp_path / "list")


def test_the_boards_are_those_of_the_readme():
    board = Published.read(str(ROOT / "data" / "published" / "mws_vision.yaml"))
    assert len(board.figures) == 46 and board.samples == 1302
    for line in board.figures:
        values = list(line["values"].values())
        assert values[0] == pytest.approx(sum(values[1:]) / 5, abs=0.0011), line["name"]
    assert len(Published.read(str(ROOT / "data" / "published" / "mws_vision_test.yaml")).figures) == 41
    models = {line["model"] for line in board.figures if "model" in line}
    assert models <= {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}
