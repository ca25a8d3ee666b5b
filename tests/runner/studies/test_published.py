"""Published figures stand beside one's own where the same thing was measured, and nowhere else."""

import json
from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.jobs.folder import JobFolder
from runner.studies.published import Published, compare
from tests.conftest import ROOT, CommandLine

FILES = sorted((ROOT / "data" / "published").glob("*.yaml"))
SCREENS = "data/published/screen_annotation.yaml"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_reads_and_belongs_to_an_experiment(path: Path):
    assert Published.read(str(path)).samples > 0
    name = f"data/published/{path.name}"
    # In its keys, or in what its head says, for data that few people have.
    assert any(name in file.read_text(encoding="utf-8") for file in (ROOT / "conf" / "experiment").glob("*.yaml"))


def test_the_swapped_columns_are_put_right(shared: Path):
    truth = json.loads((shared / "screen_annotation" / "expected.json").read_text(encoding="utf-8"))["models"]
    found = Published.read(SCREENS)
    assert {line["name"] for line in found.figures} == set(truth)
    for line in found.figures:
        own, told = truth[line["name"]], line["values"]
        assert told["quality/rouge1"] == pytest.approx(own["auto"]["rouge1"]["mean"], abs=0.01)
        assert told["quality/bleurt"] == pytest.approx(own["auto"]["bleurt"]["mean"], abs=0.01)
        assert told["text/length_mean"] == own["published"]["tech"]["avg_length"]
        assert told["text/spelling_errors"] * 50 == pytest.approx(own["published"]["tech"]["sum_spelling_errors"])
        assert told["judge/ratio"] == own["published"]["judge"]["avg_match_ratio"]


def test_stored_answers_stand_beside_what_was_published(cli: CommandLine, shared: Path):
    table = shared / "screen_annotation" / "judgement_scores.xlsx"
    ended = cli("experiment=screen_annotation_judge", f"answers={table}", "tracking=none")
    assert ended.code == 0, ended.err
    rows, sources = compare(JobFolder.below(cli.folder))
    ratios = {row.job: row for row in rows if row.measure == "quality/judge_ratio"}
    assert len(ratios) == 8
    assert all(abs(row.own - row.published) < 0.006 for row in ratios.values()), "rounded to two digits there"
    assert (sources[0].here, sources[0].there) == (50, 50)
    assert "(n: 50, as there)" in ended.out
    again = cli("outputs", module="runner.published")
    assert again.code == 0 and "Qwen2-VL-7B-Instruct-GPTQ-Int8" in again.out and "gpt-4o-mini" in again.out
    assert "quality/judge_ratio" in ended.out, "at the end of the command as well"


def test_another_model_in_place_of_the_published_has_nothing_beside_it(cli: CommandLine):
    given = ("backend.name=echo", "tracking=none", "dataset.limit=4", "metrics=[text]", f"published={SCREENS}")
    ended = cli(*given, "model=demo_s")
    assert (
        ended.code == 0
        and "none of these figures was measured here" in ended.out
        and "(n: 4 here, 50 there)" in ended.out
    )
    model = ROOT / "assets" / "demo_models" / "demo_s" / "bf16"
    ended = cli(*given, "model=qwen2vl_2b", f"model.path={model}")
    assert ended.code == 0 and "text/length_mean, as published: characters per answer" in ended.out, ended.out


def test_mistakes(cli: CommandLine, tmp_path: Path):
    ended = cli("backend.name=echo", "published=nowhere.yaml")
    assert ended.code == 2 and "nowhere.yaml does not exist" in ended.err and cli.left() == set()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("source: x\nsamples: 1\nfigures: [{model: a, values: {quality/cer: 1}}]\n")
    with pytest.raises(Refused, match="not described: quality/cer"):
        Published.read(str(wrong))
    wrong.write_text("figures: []\n")
    with pytest.raises(Refused, match="is no file of published figures"):
        Published.read(str(wrong))
