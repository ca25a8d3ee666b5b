"""The configs of a sweep's jobs are those that Hydra itself composes, though what they share is composed once."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hydra import initialize_config_dir
from hydra._internal import defaults_list
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, Node

from runner import config
from runner.base import paths
from runner.config import composing
from runner.sweeps.compositions import Compositions, without_hydra

ROUNDS = 25
# What a job of a sweep may be told; None: nothing of it.
CHOICES: tuple[tuple[str | None, ...], ...] = (
    (None, "model=demo_s", "model=demo_m", "model=openai", "model=qwen2vl_2b", "model=tesseract_rus"),
    (None, "quant=fp32", "quant=w4a16", "quant=native"),
    (None, "backend=vllm", "backend=openai"),
    (None, "prompt=demo_detailed", "prompt=collection"),
    (None, "sampling=low_temperature"),
    (None, "metrics=[cer,wer]", "metrics=[]"),
    (None, "judge=pairwise", "judge=absolute", "~judge"),
    (None, "tracking=none", "~tracking"),
    (None, "experiment=demo", "experiment=ocr_baseline"),
    (None, "workers=joblib"),
    (None, "sampling.temperature=0.3", "sampling.temperature=${sampling.top_p}"),
    (None, "+metrics.cer.words=true", "metrics.cer=null", "~metrics.cer"),
    (None, "dataset.columns={question: Вопрос}", "++dataset.columns.answer=Ответ"),
    (None, "model.name=another", "model.path=/models/${quant.name}"),
    (None, "backend.engine_args={max_model_len: 4096}", "+backend.engine_args.seed=1"),
    (None, "concurrency=16", "concurrency=${oc.env:NO_SUCH_VARIABLE,4}"),
    (None, "judge.model.name=x", "tracking.experiment=y"),
)


@pytest.fixture(scope="module")
def loader() -> Any:
    config.register()
    return loader_of(paths.conf_dir())


def loader_of(folder: Path) -> Any:
    with initialize_config_dir(version_base="1.3", config_dir=str(folder)):
        return GlobalHydra.instance().hydra.config_loader


def master(loader: Any, *overrides: str) -> DictConfig:
    return loader.load_configuration("config", list(overrides), run_mode=RunMode.MULTIRUN)


def by_hydra(loader: Any, cfg: DictConfig, overrides: list[str]) -> Any:
    try:
        with mock.patch.object(defaults_list, "_create_interpolation_map", composing._hydras_own):
            return content(without_hydra(loader.load_sweep_config(cfg, overrides)))
    except HydraException as error:
        return str(error)


def by_us(compositions: Compositions, overrides: list[str]) -> Any:
    try:
        return content(compositions.config(overrides))
    except HydraException as error:
        return str(error)


def content(node: Node | Any) -> Any:
    """Return everything that a node is: its values as they are written, its types and its flags."""
    meta = node._metadata
    about = (type(node).__name__, meta.ref_type, meta.object_type, meta.optional, meta.key, meta.flags or {})
    if isinstance(node, DictConfig) and isinstance(node._content, dict):
        return about, {key: content(child) for key, child in node._content.items()}
    if isinstance(node, ListConfig) and isinstance(node._content, list):
        return about, [content(child) for child in node._content]
    return about, node._value()


def test_random_jobs_are_composed_as_hydra_composes_them(loader: Any) -> None:
    draw = random.Random(7)
    cfg = master(loader, "plan=dry")
    compositions = Compositions(loader, cfg)
    composed = 0
    for _ in range(ROUNDS):
        told = [one for options in CHOICES if draw.random() < 0.4 and (one := draw.choice(options))]
        draw.shuffle(told)
        expected = by_hydra(loader, cfg, told)
        assert by_us(compositions, told) == expected, told
        composed += not isinstance(expected, str)
    assert composed > ROUNDS / 4


@pytest.mark.parametrize(
    "overrides",
    [
        ["hydra.sweep.subdir=x", "model=demo_s"],
        ["hydra.job.name=x", "concurrency=2"],
        ["judge=pairwise", "judge/prompt=nothing"],
        ["model=no_such_model"],
        ["no_such_key=1"],
        ["no_such_group/below=1"],
        ["sampling.temperature=warm"],
        ["concurrency=1,2"],
        ["model@judge.model=demo_s"],
        ["+model@other=demo_s", "other.name=z"],
        ["sampling={temperature: 0.1, top_p: 0.5}", "sampling.top_p=0.7"],
        ["sampling.top_p=0.7", "sampling={temperature: 0.1, top_p: 0.5}"],
        ["concurrency=2", "concurrency=3"],
        ["dataset.path='a=b,c'", "model=demo_s", "model.name='${quant.name} x'"],
    ],
    ids=" ".join,
)
def test_special_jobs_are_too_also_where_they_are_refused(loader: Any, overrides: list[str]) -> None:
    cfg = master(loader)
    compositions = Compositions(loader, cfg)
    compositions.config(["model=demo_m"])  # something that could be taken for it
    assert by_us(compositions, overrides) == by_hydra(loader, cfg, overrides)


def test_what_a_job_does_to_its_config_is_not_seen_by_the_next(loader: Any) -> None:
    cfg = master(loader)
    compositions = Compositions(loader, cfg)
    first = compositions.config(["model=demo_s", "concurrency=2"])
    first.model.name, first.dataset.columns = "spoilt", {"question": "spoilt"}
    for overrides in (["model=demo_s", "concurrency=2"], ["model=demo_s"], ["model=demo_m"]):
        assert by_us(compositions, overrides) == by_hydra(loader, cfg, overrides)


def test_files_of_ones_own_and_another_search_path_are_found(loader: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("defaults: [demo_s, _self_]\nname: mine\n")
    searched = master(loader, f"hydra.searchpath=[{tmp_path}]", "model=mine")
    compositions = Compositions(loader, searched)
    for overrides in (["model=mine"], ["model=mine", "concurrency=2"], ["model=demo_m", "quant=fp32"]):
        assert by_us(compositions, overrides) == by_hydra(loader, searched, overrides)
    assert compositions.config(["model=mine"]).model.name == "mine"


def test_a_defaults_list_may_refer_to_what_is_chosen(tmp_path: Path) -> None:
    for name, text in {
        "config": "defaults: [letters: a, digits: one, both: '${letters}_${digits}', _self_]",
        "letters/a": "x: a",
        "letters/b": "x: b",
        "digits/one": "y: 1",
        "both/a_one": "z: 1a",
        "both/b_one": "z: 1b",
    }.items():
        (tmp_path / name).with_suffix(".yaml").parent.mkdir(exist_ok=True)
        (tmp_path / name).with_suffix(".yaml").write_text(text)
    loader = loader_of(tmp_path)
    cfg = master(loader)
    compositions = Compositions(loader, cfg)
    for overrides in (["letters=a"], ["letters=b"], ["letters=b", "letters.x=c"], ["letters=b", "digits=two"]):
        assert by_us(compositions, overrides) == by_hydra(loader, cfg, overrides)
    assert compositions.config(["letters=b"]).both.z == "1b"


def test_jobs_that_differ_in_values_alone_are_composed_once(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = master(loader)
    compositions = Compositions(loader, cfg)
    composed: list[tuple[str, ...]] = []
    whole = compositions._composed
    monkeypatch.setattr(
        compositions, "_composed", lambda by, overrides: (composed.append(tuple(overrides)), whole(by, overrides))[1]
    )
    for model in ("demo_s", "demo_m"):
        for temperature in range(5):
            job = compositions.config([f"model={model}", f"sampling.temperature=0.{temperature}"])
            assert (job.model.name, job.sampling.temperature) == (model, temperature / 10)
    assert composed == [("model=demo_s",), ("model=demo_m",)]
