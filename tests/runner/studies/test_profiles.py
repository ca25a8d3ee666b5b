"""experiment=memory_profile and experiment=resolution, on a CPU with demo and reduced dummy models."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from runner.jobs.folder import JobFolder
from runner.studies.profile import memory
from tests.conftest import CommandLine
from tests.runner.job_folders import job_folder

REDUCED = "+model.config_override={text_config: {num_hidden_layers: 1}, vision_config: {depth: 1}}"


def table(folder: Path, name: str) -> list[dict[str, str]]:
    (path,) = folder.rglob(f"{name}.csv")
    return list(csv.DictReader(path.open()))


def test_memory_and_speed_by_length_and_the_largest_that_fits(cli: CommandLine) -> None:
    ended = cli(
        "experiment=memory_profile", "tracking=none", "dataset.options.visual_tokens=1,256,4096,largest",
        "+backend.engine_args.memory_limit_gib=0.75", "sampling.max_tokens=8", "+dataset.options.search_up_to=2500",
    )  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    text, small, beyond, search = table(cli.folder, "memory_profile")
    assert float(text["prompt tokens"]) < 15 and text["visual tokens"] in ("", "0.0", "0")
    assert float(small["visual tokens"]) == pytest.approx(256, rel=0.04) and small["memory"] == "CPU"
    assert 0.1 < float(text["peak GiB"]) <= float(small["peak GiB"]) < 0.8
    assert (
        float(small["prefill tokens/s"]) > 0 and float(small["decode tokens/s"]) > 0 and small["prefill by"] == "engine"
    )
    assert not beyond["prompt tokens"] and beyond["did not fit"] in ("context too long", "out of memory")
    assert search["did not fit"] and 60 < float(search["prompt tokens"]) < 2048
    assert "largest input that fits" in ended.out and "model x quantisation" in ended.out
    (page,) = cli.folder.rglob("memory_profile.html")
    assert "prompt tokens" in page.read_text(encoding="utf-8")
    assert cli(str(page.parent), module="runner.memory_profile").code == 0


def test_the_true_architecture_without_weights(cli: CommandLine) -> None:
    ended = cli(
        "experiment=memory_profile", "tracking=none", "model=qwen2vl_2b", "model.weights=dummy", REDUCED,
        "dataset.options.visual_tokens=16,256", "dataset.options.samples=1", "sampling.max_tokens=4", "warmup=1",
    )  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    small, large = table(cli.folder, "memory_profile")
    assert float(large["prompt tokens"]) - float(small["prompt tokens"]) == pytest.approx(240, abs=16)
    assert float(large["peak GiB"]) > 0.5 and "(dummy weights)" in large["model quant backend"]


def test_quality_latency_and_memory_by_pixels_and_pages(cli: CommandLine) -> None:
    ended = cli("experiment=resolution", "tracking=none", "dataset.limit=24", "model.max_pixels=9408,37632")
    assert ended.code == 0, ended.err + ended.out
    rows = table(cli.folder, "resolution")
    assert [(row["pages"], row["max pixels"]) for row in rows] == [(p, m) for p in "12" for m in ("9408", "37632")]
    assert [float(row["visual tokens"]) for row in rows] == [12, 48, 24, 96]
    assert float(rows[1]["exact_match"]) > 0.8 > float(rows[0]["exact_match"]), "it can't read what it can't see"
    assert all(float(row["latency s"]) > 0 and float(row["peak GiB"]) > 0 for row in rows)
    (metrics,) = [json.loads(path.read_text())["metrics"] for path in cli.folder.rglob("3_*/metrics.json")]
    assert sum(json.loads(p.read_text())["metrics"]["engine/starts"] for p in cli.folder.rglob("metrics.json")) == 1
    assert metrics["samples/failed"] == 0


ECHO = ("backend.name=echo", "dataset=synthetic", "metrics=[]", "tracking=none", "objective=null", "warmup=0")


def outcome(folder: Path) -> dict[str, Any]:
    (path,) = folder.rglob("metrics.json")
    return json.loads(path.read_text())


def test_an_engine_that_dies_of_an_input_has_answered_the_question(cli: CommandLine) -> None:
    # It dies of its third request: 4 and 8 visual tokens fit, and 16 does not; the engine that follows does two more.
    ended = cli(*ECHO, "dataset.options.visual_tokens=largest", "+backend.engine_args.crash_after=3")
    assert ended.code == 0, ended.err
    found = outcome(cli.folder)
    assert found["status"] == "finished" and found["metrics"]["engine/starts"] > 1
    assert any("engine_died" in note and "largest input that fits" in note for note in found["notes"])
    assert found["metrics"]["samples/failed"] >= 1


def test_a_length_that_kills_the_engine_is_asked_once(cli: CommandLine) -> None:
    ended = cli(*ECHO, "dataset.options.visual_tokens=64", "+backend.engine_args.crash_after=1")
    assert ended.code == 0, ended.err
    found = outcome(cli.folder)
    assert found["metrics"]["samples/failed"] == found["metrics"]["samples/total"] == 1
    assert found["metrics"]["engine/starts"] == 1 and "latency/p50_s" not in found["metrics"]


def test_a_search_needs_one_question_at_a_time(cli: CommandLine) -> None:
    ended = cli(*ECHO, "dataset.options.visual_tokens=largest", "concurrency=4")
    assert ended.code == 2 and "a search asks one input at a time" in ended.err


def test_memory_is_of_the_gpu_where_there_is_one_and_absent_where_it_was_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic = ("dataset=synthetic", "metrics=[]", "dataset.options.visual_tokens=")
    gpu = {"memory/gpu_peak_gib": 9.5, "memory/cpu_peak_gib": 3.0, "memory/needed_gib": 9.0}
    job_folder(tmp_path / "a", *synthetic[:2], f"{synthetic[2]}1024", **gpu)
    job_folder(tmp_path / "b", *synthetic[:2], f"{synthetic[2]}4", **{"memory/gpu_peak_gib": 4.25})
    memory.summarise(tmp_path, JobFolder.below(tmp_path))
    first, second = table(tmp_path, "memory_profile")
    assert (first["input asked for"], second["input asked for"]) == ("4", "1024"), "by length"
    assert (first["memory"], first["peak GiB"], first["needed GiB"]) == ("GPU", "4.25", "")
    said = capsys.readouterr().out
    assert "4.25 - 9.50" in said and "not searched" in said
