"""Real vLLM on a CPU, in the environment that `env=uv` builds for it, beside the HF engine: `make test-engines`.

The first run builds the environment (3.1 GB under $RUNNER_ENVS); each start of vLLM takes one to two minutes.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import CommandLine, Ended

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

JOB = ("model=demo_m", "quant=fp32", "tracking=none", "metrics=[exact_match,cer]")
SAMPLES = 40


def results(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in folder.rglob("metrics.json"):
        environment = json.loads((path.parent / "environment.json").read_text())
        found["vllm" if "vllm" in environment["conditions"]["engine"] else "hf"] = {
            **json.loads(path.read_text()),
            "environment": environment,
            "rows": [json.loads(line) for line in (path.parent / "answers.jsonl").read_text().splitlines()],
        }
    return found


def engines(store: Path) -> list[psutil.Process]:
    """Return the engine processes of runners that use this store, and what descends from them.

    vLLM's workers are renamed, which overwrites what the system tells of their environment: they are found as children.
    """
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get("RUNNER_STORE") == str(store) and "RUNNER_ENGINE_TAG" in environment:
                found += [process, *process.children(recursive=True)]
    return found


def none_left(store: Path, within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while engines(store):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@pytest.fixture(scope="module")
def compared(
    tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]
) -> Iterator[tuple[CommandLine, Ended]]:
    cli = make_cli(tmp_path_factory.mktemp("parity"))
    yield cli, cli("-m", *JOB, "backend=hf,vllm", f"dataset.limit={SAMPLES}", timeout=1100)


def test_both_engines_finish_and_nothing_is_left(compared: tuple[CommandLine, Ended]):
    cli, ended = compared
    assert ended.code == 0, ended.err
    assert set(results(cli.folder)) == {"hf", "vllm"}
    assert none_left(cli.folder / "store")


def test_answers_agree_token_for_token(compared: tuple[CommandLine, Ended]):
    found = results(compared[0].folder)
    pairs = list(zip(found["hf"]["rows"], found["vllm"]["rows"], strict=True))
    assert len(pairs) == SAMPLES
    assert [hf["prompt_tokens"] for hf, _ in pairs] == [vllm["prompt_tokens"] for _, vllm in pairs], "the same input"
    same = sum(hf["token_ids"] == vllm["token_ids"] for hf, vllm in pairs)
    differing = [(hf["text"], vllm["text"]) for hf, vllm in pairs if hf["token_ids"] != vllm["token_ids"]]
    assert same / SAMPLES >= 0.95, differing


def test_figures_are_there_and_unknown_ones_are_absent(compared: tuple[CommandLine, Ended]):
    vllm = results(compared[0].folder)["vllm"]
    metrics = vllm["metrics"]
    assert metrics["engine/starts"] == 1 and metrics["engine/load_s"] > 1
    assert 0 < metrics["ttft/p50_s"] <= metrics["latency/p50_s"] < 5
    assert metrics["memory/cpu_peak_gib"] > 1, "the sum over its processes"
    assert metrics["memory/kv_reserved_gib"] == 1.0, "env.variables.VLLM_CPU_KVCACHE_SPACE"
    assert 0 <= metrics["memory/kv_used_gib"] < 0.1
    assert not {"memory/gpu_peak_gib", "memory/needed_gib", "memory/graphs_gib", "cache/prefix_hit_rate"} & set(metrics)
    facts = vllm["environment"]["engine"]
    assert facts["version.vllm"] == "0.32.0" and facts["dtype"] == "float32"
    assert vllm["environment"]["conditions"]["engine"].startswith("vllm_cpu@")


def test_a_worker_that_is_killed_is_restarted_once(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    cli = make_cli(tmp_path)
    process = cli.start(*JOB, "backend=vllm", f"dataset.limit={3 * SAMPLES}", "warmup=0")
    store = tmp_path / "store"
    deadline = time.monotonic() + 400
    while sum(len(path.read_bytes().splitlines()) for path in store.glob("*.jsonl")) < 10:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    lives = engines(store)
    worker = next(one for one in lives if "Worker" in " ".join(one.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    try:
        output, _ = process.communicate(timeout=700)
    finally:
        process.kill()
    assert process.returncode == 0, output
    result = results(tmp_path)["vllm"]
    assert result["metrics"]["engine/starts"] == 2 and result["metrics"]["samples/failed"] == 0
    assert len(result["rows"]) == 3 * SAMPLES
    assert any("started again" in note for note in result["notes"])
    assert none_left(store) and not [one for one in lives if one.is_running()]
