"""The commands of docs/scoring.md on answers of other programs, with tracking as it is by default."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.conftest import CommandLine

HEADER = ["model_name", "Image", "Question", "Answer", "Device", "candidate", "Time Taken (sec)"]
ROWS = [
    ["large", "a.png", "Какая сумма?", "100 руб.", "pc", "100 руб.", 1.5],
    ["large", "a.png", "Какая дата?", "01.02.2024", "pc", "01.02.2024", 1.5],
    ["large", "b.png", "Какая сумма?", "200 руб.", "pc", "200 руб.", 1.5],
    ["large", "b.png", "Какая дата?", "01.02.2024", "pc", None, None],
    ["small", "a.png", "Какая сумма?", "100 руб.", "pc", "не знаю", 1.5],
    ["small", "a.png", "Какая дата?", "01.02.2024", "pc", "", 1],
    ["small", "b.png", "Какая сумма?", "200 руб.", "pc", "не знаю", 0.5],
    ["small", "b.png", "Какая дата?", "01.02.2024", "pc", "не знаю", 0.5],
]


def runs(cli: CommandLine) -> dict[str, Any]:
    """Return what was tracked, by the name of the model."""
    from runner.jobs import tracking

    client = tracking.client(f"sqlite:///{cli.folder / 'mlflow.db'}")
    found = client.search_runs(["1"], "tags.`runner.kind` = 'job'")
    assert [run.info.status for run in found] == ["FINISHED"] * len(found)
    by_model = {run.data.tags["model"]: run for run in found}
    assert len(by_model) == len(found), "a run per model, however often its answers are scored"
    return by_model


def write(folder: Path, kind: str) -> Path:
    path = folder / f"answers.{kind}"
    if kind == "csv":
        lines = (";".join("" if cell is None else str(cell).replace(".", ",") if isinstance(cell, float) else str(cell)
                          for cell in row) for row in [HEADER, *ROWS])  # fmt: skip
        path.write_text("sep=;\r\n" + "\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
        return path
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_table_of_two_models_is_scored_tracked_and_told_how_it_was_read(cli: CommandLine, kind: str):
    path = write(cli.folder, kind)
    command = ("stage=score", f"answers={path.name}", "quant=awq")
    ended = cli(*command, "metrics=[exact_match,cer,text]")
    assert ended.code == 0, ended.err
    said = " ".join((ended.out + ended.err).split())
    assert "read as: model = 'model_name', answer = 'candidate', references = 'Answer'" in said
    assert "large: 1 of 4 answers failed" in said and "no more are empty and scored as such" in said
    assert "small: 1 answers are empty and are scored as such" in said
    found = runs(cli)
    assert set(found) == {"large", "small"}
    large, small = (found[name].data for name in ("large", "small"))
    assert (large.metrics["quality/exact_match"], small.metrics["quality/exact_match"]) == (1, 0)
    assert (large.metrics["samples/total"], large.metrics["samples/failed"]) == (4, 1)
    assert (small.metrics["samples/total"], small.metrics["samples/failed"]) == (4, 0)
    assert large.metrics["latency/mean_s"] == 1.5 and small.metrics["latency/mean_s"] == 0.875
    assert not [name for one in (large, small) for name in one.metrics if name.startswith("repeats/")]
    assert (large.params["env"], large.params["quant"], large.params["backend"]) == ("unknown", "awq", "unknown")
    if kind == "csv":  # again, another metric: into the same runs
        assert cli(*command, "metrics=[wer]").code == 0
        assert "quality/wer" in runs(cli)["large"].data.metrics


def test_figures_that_a_table_brings_along(cli: CommandLine):
    path = cli.folder / "summary.csv"
    text = "model_name;Image;candidate;Perplexity;Errors (cnt);Words\nm;a;x;15,74;1;–\nm;b;y;12,10;;–\n"
    path.write_text(text, encoding="utf-8")
    columns = "{perplexity: {column: Perplexity, better: lower}, spelling_errors: 'Errors (cnt)', words: Words}"
    ended = cli("stage=score", "answers=summary.csv", "metrics=[stored]", f"+metrics.stored.columns={columns}")
    assert ended.code == 0, ended.err
    metrics = runs(cli)["m"].data.metrics
    assert metrics["quality/perplexity"] == pytest.approx(13.92) and metrics["quality/spelling_errors"] == 1
    assert "quality/words" not in metrics
    said = " ".join(ended.out.split())
    assert "no figure for words: all 2 answers are unscored (column Words holds no number: '–' is no number)" in said


def test_answers_of_vlmhyperbench(cli: CommandLine):
    (cli.folder / "annotation.csv").write_text(
        "data_index;split;image_path;question;answer;doc_class;question_type\n"
        "1;a;1.jpg;Q;007;passport;Номер\n1;a;1.jpg;Q;Иван;passport;Имя\n",
        encoding="utf-8",
    )
    (cli.folder / "model_a.csv").write_text("id;model_answer\n1;Иван\n0;7\n", encoding="utf-8")
    command = ("stage=score", "answers=model_a.csv", "dataset=annotations", "dataset.path=annotation.csv")
    ended = cli(*command, "metrics=[exact_match]")
    assert ended.code == 0, ended.err
    assert "read as VLMHyperBench's answers" in ended.out + ended.err
    assert runs(cli)["model_a"].data.metrics["quality/exact_match"] == 0.5


def test_a_folder_that_lacks_something_leaves_no_run_behind(new_cli: CommandLine):
    cli = new_cli
    path = write(cli.folder, "csv")
    assert cli("stage=score", f"answers={path.name}", "metrics=[cer]", "tracking=none").code == 0
    folder = next(cli.folder.glob("outputs/*/*/large"))
    record = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps({key: value for key, value in record.items() if key != "env"}))
    config = (folder / "config.yaml").read_text()
    assert "uri: null" in config
    (folder / "config.yaml").write_text(config.replace("uri: null", f"uri: sqlite:///{cli.folder}/mlflow.db"))
    from runner.jobs import tracking

    with pytest.raises(KeyError):
        tracking.upload(folder)
    assert not (cli.folder / "mlflow.db").exists(), "no run is left open, or KILLED, by what is wrong with a folder"


def test_models_whose_names_would_give_one_folder_keep_a_folder_each(cli: CommandLine):
    (cli.folder / "a.csv").write_text("model_name,Image,candidate,reference\na/b,1,x,x\na b,1,y,x\nA_B,1,x,x\n")
    ended = cli("stage=score", "answers=a.csv", "metrics=[exact_match]", "hydra.run.dir=out")
    assert ended.code == 0, ended.err
    records = [json.loads(path.read_text()) for path in sorted((cli.folder / "out").glob("*/metrics.json"))]
    assert {one["name"]: one["metrics"]["quality/exact_match"] for one in records} == {"a/b": 1, "a b": 0, "A_B": 1}
    assert set(runs(cli)) == {"a/b", "a b", "A_B"}
