"""A sweep over pages made worse, for real: the HF engine reads them with a demo model, and all that is told of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CommandLine, Ended

GIVEN = ("model=demo_s", "quant=fp32", "dataset.limit=16", "metrics=[exact_match,cer]", "concurrency=4")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, third_party: Path) -> tuple[CommandLine, Ended]:
    cli = CommandLine(tmp_path_factory.mktemp("swept"), third_party)
    pages = ("dataset.degrade=null,phone,fax", "dataset.degrade_strength=1")
    ended = cli("-m", *GIVEN, *pages, "hydra.sweep.dir=first")
    assert ended.code == 0, ended.err
    return cli, ended


def jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the metrics of each job by what its pages were made worse by."""
    from omegaconf import OmegaConf

    return {
        str(OmegaConf.load(path.parent / "config.yaml").dataset.degrade): json.loads(path.read_text())["metrics"]
        for path in folder.glob("*/metrics.json")
    }


def test_one_engine_reads_clean_pages_better(swept: tuple[CommandLine, Ended]):
    cli, ended = swept
    assert "jobs: 3, engines: 1" in ended.err
    found = jobs(cli.folder / "first")
    assert set(found) == {"None", "phone", "fax"}
    assert all(one["samples/total"] == 16 and one["samples/failed"] == 0 for one in found.values())
    assert found["None"]["quality/cer"] < found["fax"]["quality/cer"]
    assert found["None"]["quality/cer"] < found["phone"]["quality/cer"]
    assert all("samples/reused" not in one or not one["samples/reused"] for one in found.values())


def test_rows_name_the_pages_and_keep_the_references(swept: tuple[CommandLine, Ended]):
    cli, _ = swept
    read = {}
    for path in (cli.folder / "first").glob("*/answers.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        read[lines[0]["images"][0].partition("#degrade=")[2]] = lines
    assert set(read) == {"", "phone:1:0", "fax:1:0"}
    references = {json.dumps([line["references"] for line in lines]) for lines in read.values()}
    assert len(references) == 1
    assert all("warp" not in line for line in read[""])
    assert all(len(line["warp"]) == 9 for line in read["phone:1:0"])
    assert len({json.dumps(line["warp"]) for line in read["phone:1:0"]}) == 4, "one for each page, whatever is asked"


def test_the_report_says_who_still_reads(swept: tuple[CommandLine, Ended]):
    cli, ended = swept
    assert "phone" in ended.out
    html = (cli.folder / "first" / "report.html").read_text(encoding="utf-8")
    assert html.count("Who still reads pages made worse") == 1
    assert "demo_documents, phone 1" in html
    section = html[html.index("Who still reads pages made worse") :]
    assert section.index("phone 1") < section.index("fax 1"), "in the order of the table"


def test_mlflow_holds_three_runs_with_what_was_done(swept: tuple[CommandLine, Ended]):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{swept[0].folder}/mlflow.db")
    experiment = client.get_experiment_by_name("documents")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`runner.kind` = 'job'")
    told = [{key: run.data.params.get(f"dataset.{key}") for key in ("degrade", "degrade_strength")} for run in runs]
    assert sorted(str(one["degrade"]) for one in told) == ["None", "fax", "phone"]
    assert {float(one["degrade_strength"] or 0) for one in told if one["degrade"]} == {1.0}
    assert all(one["degrade_strength"] is None for one in told if not one["degrade"])


def test_the_same_pages_are_not_asked_again_and_others_are(swept: tuple[CommandLine, Ended]):
    cli, _ = swept
    ended = cli("-m", *GIVEN, "dataset.degrade=phone", "dataset.degrade_strength=0,0.5,1", "hydra.sweep.dir=second")
    assert ended.code == 0, ended.err
    from omegaconf import OmegaConf

    reused = {
        float(OmegaConf.load(path.parent / "config.yaml").dataset.degrade_strength): json.loads(path.read_text())[
            "metrics"
        ]["samples/reused"]
        for path in (cli.folder / "second").glob("*/metrics.json")
    }
    assert reused == {0: 16, 0.5: 0, 1: 16}, "strength 0 is the clean page"
    assert "dataset.degrade=phone at strength 0: the pages are shown as they are" in ended.err


def test_compare_tells_that_the_pages_differ(swept: tuple[CommandLine, Ended]):
    cli, _ = swept
    clean, worse = (next((cli.folder / "first").glob(f"*{name}")) for name in ("without_degrade", "degrade_fax"))
    ended = cli(str(clean), str(worse), module="runner.compare")
    assert ended.code == 0, ended.err
    note = next(line for line in ended.out.splitlines() if line.startswith("note:") and "made worse" in line)
    assert "was shown pages made worse (fax 1)" in note
    assert note.endswith("a difference is that of the pages as well")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (("dataset.degrade=fone",), "one of: phone, scan, fax"),
        (("dataset.degrade=phone", "dataset.degrade_strength=2"), "0 to 1"),
        (
            ("dataset.degrade=scan", "metrics=[mws_grounding]"),
            "metrics=[grounding], which does; or dataset.degrade=fax",
        ),
        (("dataset.degrade=scan", "dataset.blind=no_image"), "shows no pictures that could be made worse"),
        (("dataset.degrad=scan",), "dataset.degrade"),
    ],
)
def test_a_mistake_is_told_before_an_engine_starts(cli: CommandLine, word: tuple[str, ...], told: str):
    ended = cli("model=demo_s", "tracking=none", *word)
    assert ended.code == 2
    assert told in ended.err
    assert "starting the engine" not in ended.err
