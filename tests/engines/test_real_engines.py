"""Real vLLM and SGLang on a CPU, in environments built for them, beside the HF engine: `make test-engines`.

The first run builds the environments (3 and 9.5 GB under $RUNNER_ENVS); each start takes one to three minutes.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import CommandLine, Ended
from tests.engines.room import skip_without_room
from tests.patience import patient

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

JOB = ("model=demo_m", "quant=fp32", "tracking=none", "metrics=[exact_match,cer]")
SAMPLES = 40


def results(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in folder.rglob("metrics.json"):
        environment = json.loads((path.parent / "environment.json").read_text())
        name = next((name for name in ("vllm", "sglang") if name in environment["conditions"]["engine"]), "hf")
        found[name] = {
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
    deadline = time.monotonic() + patient(within_s)
    while engines(store):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


@dataclass(frozen=True)
class Compared:
    """A sweep over the HF engine and one other."""

    backend: str
    cli: CommandLine
    ended: Ended


@pytest.fixture(scope="module", params=["vllm", "sglang"])
def compared(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_cli: Callable[[Path], CommandLine],
) -> Iterator[Compared]:
    backend = request.param
    if backend == "sglang":
        skip_without_room(backend)
    cli = make_cli(tmp_path_factory.mktemp(backend))
    # Smaller than the documents, so that a limit which doesn't reach an engine shows in its prompts. SGLang's is fixed
    # at its start.
    limit = ("model.max_pixels=25088",) if backend == "vllm" else ()
    experiment = ("experiment=backend_parity", "tracking=none", "metrics=[exact_match,cer,confidence]")
    ended = cli(*experiment, *limit, f"backend=hf,{backend}", f"dataset.limit={SAMPLES}", timeout=1100)
    yield Compared(backend, cli, ended)


def test_both_engines_finish_and_nothing_is_left(compared: Compared):
    assert compared.ended.code == 0, compared.ended.err
    assert set(results(compared.cli.folder)) == {"hf", compared.backend}
    assert none_left(compared.cli.folder / "store")


def test_answers_agree(compared: Compared):
    found = results(compared.cli.folder)
    pairs = list(zip(found["hf"]["rows"], found[compared.backend]["rows"], strict=True))
    assert len(pairs) == SAMPLES
    assert [hf["prompt_tokens"] for hf, _ in pairs] == [other["prompt_tokens"] for _, other in pairs], "the same input"
    said = "token_ids" if compared.backend == "vllm" else "text"  # SGLang streams no token ids
    same = sum(hf[said] == other[said] for hf, other in pairs)
    differing = [(hf["text"], other["text"]) for hf, other in pairs if hf[said] != other[said]]
    assert same / SAMPLES >= 0.95, differing


def test_log_probabilities_agree(compared: Compared):
    """HF's beside the other engine's, in float32: what one token's text brings, and how probable it was."""
    found = results(compared.cli.folder)
    pairs = list(zip(found["hf"]["rows"], found[compared.backend]["rows"], strict=True))
    told = [(hf["token_logprobs"], other["token_logprobs"]) for hf, other in pairs if hf["text"] == other["text"]]
    assert len(told) / SAMPLES >= 0.95
    for hf, other in told:
        assert hf["problem"] == other["problem"] == ""
        assert hf["lengths"] == other["lengths"]
        assert hf["logprobs"] == pytest.approx(other["logprobs"], abs=0.02), "0.0023 was seen"
    for result in found.values():
        assert result["metrics"]["confidence/measured"] == 1.0
        assert 0 < result["metrics"]["confidence/probability"] <= 1


def test_the_parity_gate_says_what_each_engine_saw(compared: Compared):
    (file,) = compared.cli.folder.rglob("parity.json")
    (kept,) = json.loads(file.read_text())
    assert kept["agreement"] >= 0.95 and kept["input_differs"] == {}
    assert [kept[name].partition(" ")[0] for name in ("baseline", "other")] == ["hf", compared.backend]
    ours, theirs = kept["seen"]["baseline"], kept["seen"]["other"]
    for name in ("prompt_tokens", "visual_tokens", "pixels"):
        assert [seen[name] for seen in ours] == [seen[name] for seen in theirs]
    assert {seen["pixels_by"] for seen in ours} == {"reported"}
    assert {seen["pixels_by"] for seen in theirs} == {"by the processor's rule, confirmed by the tokens"}
    if compared.backend == "vllm":
        assert kept["input_proven_equal"] == kept["with_ids"] == SAMPLES, "by the token ids of its prompts"
    assert "backend parity" in compared.ended.out and "WARNING" not in compared.ended.out


def test_figures_are_there_and_unknown_ones_are_absent(compared: Compared):
    result = results(compared.cli.folder)[compared.backend]
    metrics, facts = result["metrics"], result["environment"]["engine"]
    assert metrics["engine/starts"] == 1 and metrics["engine/load_s"] > 1
    assert 0 < metrics["ttft/p50_s"] <= metrics["latency/p50_s"]
    assert metrics["memory/cpu_peak_gib"] > 1, "the sum over its processes"
    assert not {"memory/gpu_peak_gib", "memory/needed_gib", "memory/graphs_gib"} & set(metrics)
    assert metrics.get("cache/prefix_hit_rate", 0) == 0, "off: not asked, or never hit"
    assert result["environment"]["conditions"]["engine"].startswith(f"{compared.backend}_cpu@")
    if compared.backend == "vllm":
        assert metrics["memory/kv_reserved_gib"] == 1.0, "env.variables.VLLM_CPU_KVCACHE_SPACE"
        assert 0 <= metrics["memory/kv_used_gib"] < 0.1
        assert facts["version.vllm"] == "0.32.0" and facts["dtype"] == "float32"


def test_a_worker_that_is_killed_is_restarted_once(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    cli = make_cli(tmp_path)
    process = cli.start(*JOB, "backend=vllm", f"dataset.limit={3 * SAMPLES}", "warmup=0")
    store = tmp_path / "store"
    deadline = time.monotonic() + patient(400)
    while sum(len(path.read_bytes().splitlines()) for path in store.glob("*.jsonl")) < 10:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    lives = engines(store)
    worker = next(one for one in lives if "Worker" in " ".join(one.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    try:
        output, _ = process.communicate(timeout=patient(700))
    finally:
        process.kill()
    assert process.returncode == 0, output
    result = results(tmp_path)["vllm"]
    assert result["metrics"]["engine/starts"] == 2 and result["metrics"]["samples/failed"] == 0
    assert len(result["rows"]) == 3 * SAMPLES
    assert any("started again" in note for note in result["notes"])
    assert none_left(store) and not [one for one in lives if one.is_running()]
