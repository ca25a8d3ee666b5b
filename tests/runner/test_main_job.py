"""The main job for real: the HF engine reads documents with the demo models, and MLflow holds what it should."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, CommandLine, Ended
from tests.patience import patient

SWEEP = ("-m", "model=demo_s,demo_m", "quant=bf16,w4a16", "dataset.limit=40")
SEED_PROMPTS = "prompts/JuliaJu_Qwen2-VL-2B_demo_mini_cer0.csv"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, third_party: Path) -> tuple[Path, Ended]:
    """The demo sweep on a part of the documents in an empty folder, as on the first day."""
    folder = tmp_path_factory.mktemp("swept")
    ended = CommandLine(folder, third_party)(*SWEEP)
    assert ended.code == 0, ended.err
    return folder, ended


def metrics(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        result["name"]: result["metrics"]
        for path in folder.glob("multirun/*/*/*/metrics.json")
        if (result := json.loads(path.read_text()))
    }


def test_models_read_and_differ(swept: tuple[Path, Ended]):
    found = metrics(swept[0])
    assert set(found) == {"demo_s-bf16", "demo_s-w4a16", "demo_m-bf16", "demo_m-w4a16"}
    assert all(one["samples/failed"] == 0 and one["engine/starts"] == 1 for one in found.values())
    assert found["demo_m-bf16"]["quality/exact_match"] > 0.8
    assert found["demo_m-bf16"]["quality/exact_match"] > found["demo_s-bf16"]["quality/exact_match"]
    assert found["demo_m-bf16"]["quality/cer"] < 0.1
    assert {"quality/cer/by/passport", "quality/exact_match/ci_low", "quality/bleu", "quality/anls", "quality/wer",
            "quality/cer_mean"} <= set(found["demo_m-bf16"])  # fmt: skip


def test_table_report_and_link_end_the_sweep(swept: tuple[Path, Ended]):
    out = swept[1].out
    assert all(word in out for word in ("demo_s", "demo_m", "w4a16", "exact_match", "latency p50", "0 of 40"))
    report = next(line.split()[1] for line in out.splitlines() if line.startswith("report:"))
    assert "demo_m" in (swept[0] / report).read_text(encoding="utf-8")
    assert "compareRunsMode=CHART" in out


def test_mlflow_holds_four_flat_finished_runs(swept: tuple[Path, Ended]):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{swept[0]}/mlflow.db")
    experiment = client.get_experiment_by_name("documents").experiment_id
    runs = client.search_runs([experiment], "tags.`runner.kind` = 'job'")
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert len({run.data.tags["runner.sweep"] for run in runs}) == 1
    for run in runs:
        assert "mlflow.parentRunId" not in run.data.tags
        assert {"latency/p95_s", "memory/cpu_peak_gib", "throughput/output_tokens_per_s"} <= set(run.data.metrics)
        artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
        assert {"answers.json", "answers.jsonl", "scores.jsonl", "config.yaml", "engine.log"} <= artifacts


def test_mlflow_holds_the_report_on_a_run_of_its_own(swept: tuple[Path, Ended]):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{swept[0]}/mlflow.db")
    experiment = client.get_experiment_by_name("documents").experiment_id
    (run,) = client.search_runs([experiment], "tags.`runner.kind` = 'report'")
    assert [artifact.path for artifact in client.list_artifacts(run.info.run_id)] == ["report.html"]
    assert run.info.status == "FINISHED" and "demo_m" in run.data.tags["mlflow.note.content"]
    assert run.data.tags["runner.sweep"] in run.info.run_name


def test_answers_carry_the_engines_account(swept: tuple[Path, Ended]):
    path = next(swept[0].glob("multirun/*/*/*_demo_m-bf16-*/answers.jsonl"))
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert row["finish_reason"] == "stop" and row["completion_tokens"] == len(row["token_ids"])
    assert row["image_tokens"] == 48
    timing = row["timing"]
    assert 0 < timing["prefill_s"] + timing["decode_s"] < timing["latency_s"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["dataset=annotations", "dataset.path={demo_mini}", "prompt=collection", "prompt.path={demo_mini}/{prompts}"],
        ["dataset=spreadsheet", "dataset.path={vqa_phone}/QA_phone.xls", "dataset.images={vqa_phone}/images"],
        ["dataset=images", "dataset.path={screen_annotation}/images"],
    ],
    ids=["annotations", "spreadsheet", "images"],
)  # fmt: skip
def test_real_data_run_to_the_end(cli: CommandLine, shared: Path, arguments: list[str]):
    folders = {name: shared / name for name in ("demo_mini", "vqa_phone", "screen_annotation")}
    filled = [argument.format(**folders, prompts=SEED_PROMPTS) for argument in arguments]
    ended = cli("model=demo_m", "tracking=none", "dataset.limit=3", "sampling.max_tokens=16", *filled)
    assert ended.code == 0, ended.err
    (result,) = [json.loads(path.read_text()) for path in cli.folder.glob("outputs/*/*/metrics.json")]
    assert result["status"] == "finished" and result["metrics"]["samples/failed"] == 0
    if "dataset=images" in arguments:
        assert not [name for name in result["metrics"] if name.startswith("quality")], "no references: nothing to score"
        assert result["metrics"]["samples/unscored"] == 3
    else:
        assert result["metrics"]["quality/cer"] > 0.3, "the demo model can't read these"


def test_reduced_model_with_dummy_weights(cli: CommandLine):
    ended = cli(
        "model=qwen2vl_2b",
        "model.weights=dummy",
        "+model.config_override={text_config: {num_hidden_layers: 1}, vision_config: {depth: 1}}",
        "tracking=none",
        "dataset.limit=2",
        "sampling.max_tokens=4",
    )
    assert ended.code == 0, ended.err
    (result,) = [json.loads(path.read_text()) for path in cli.folder.glob("outputs/*/*/metrics.json")]
    assert result["metrics"]["samples/failed"] == 0 and result["metrics"]["samples/truncated"] == 2


def test_the_wheel_works_from_any_folder(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*command, "--target", str(target), str(ROOT)], check=True, capture_output=True, timeout=patient(150)
    )
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    cli = make_cli(folder)
    cli.environment["PYTHONPATH"] = str(target)
    where = subprocess.run(
        [sys.executable, "-c", "import runner, runner.base.paths as p; print(runner.__file__, p.conf_dir(), p.root())"],
        cwd=folder, env=cli.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.count(str(target)) == 3, where.stdout
    ended = cli("model=demo_s", "tracking=none", "dataset.limit=4")
    assert ended.code == 0, ended.err
    assert "0 of 4" in ended.out
