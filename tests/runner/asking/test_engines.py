"""Which engine a job gets: started for the whole group, so that memory is reserved for the largest picture of all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from backends.api import EngineSpec
from runner import config
from runner.asking import engines
from runner.planning import engine_spec
from runner.sweeps import ahead
from tests.conftest import ROOT


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[EngineSpec]]:
    """The specs for which an engine would be started."""
    specs: list[EngineSpec] = []

    def start(_backend: Any, spec: EngineSpec, **_more: Any) -> Any:
        specs.append(spec)
        return SimpleNamespace(spec=spec, alive=lambda: True, close=lambda: None, log_path=tmp_path / "log")

    monkeypatch.setenv("RUNNER_STORE", str(tmp_path))
    monkeypatch.setattr(engines, "start", start)
    monkeypatch.setattr(engines, "Fleet", lambda found: SimpleNamespace(log_paths=[one.log_path for one in found]))
    engines.close()
    yield specs
    engines.close()


def job(*overrides: str) -> Any:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = config.typed(compose("config", ["tracking=none", "model=demo_m", "backend=vllm", *overrides]))
    spec, backend = engine_spec.served(composed)
    return SimpleNamespace(name="job", config=composed, spec=spec, backend=backend)


@pytest.mark.parametrize(
    ("limits", "reserved"), [(("9408", "37632", "18816"), 37632), (("9408", "null"), None), (("9408",), 9408)]
)
def test_a_group_shares_one_engine_that_reserves_for_its_largest_limit(
    started: list[EngineSpec], limits: tuple[str, ...], reserved: int | None
):
    jobs = [job(f"model.max_pixels={limit}") for limit in limits]
    ahead.expect([one.config for one in jobs], [one.spec for one in jobs])
    for one in jobs:
        engines.acquire(one, lambda _: None)
    assert [spec.largest_pixels for spec in started] == [reserved]
    given = " ".join(jobs[0].backend.launch(started[0], 1).argv)
    assert (f'--mm-processor-kwargs {{"images_kwargs": {{"max_pixels": {reserved}}}}}' in given) == (
        reserved is not None
    )


def test_a_job_that_nobody_expected_gets_an_engine_that_is_large_enough(started: list[EngineSpec]):
    for limit in ("9408", "18816", "9408"):
        engines.acquire(job(f"model.max_pixels={limit}"), lambda _: None)
    assert [spec.largest_pixels for spec in started] == [9408, 18816]
