"""What only a GPU can settle of the table of quantisations and of reserved memory: `make test-gpu`.

Never run so far: no GPU was there. Each case needs its engine's environment, which is built from the network.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.base import machine
from runner.config import quant_support
from tests.conftest import CommandLine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="no NVIDIA GPU"),
]
JOB = ("model=demo_m", "tracking=none", "metrics=[exact_match]", "dataset.limit=20")
# The quantisations that the demo model's checkpoints allow, and the environment of each engine on a GPU.
ENVIRONMENTS = {
    ("bnb_int8", "hf"): "hf_bnb",
    ("bnb_nf4", "hf"): "hf_bnb",
    ("bnb_nf4", "vllm"): "vllm_bnb",
    ("w8a8", "vllm"): "vllm",
    ("w4a16", "vllm"): "vllm",
    ("w8a8", "sglang"): "sglang",
    ("w4a16", "sglang"): "sglang",
}


def ran(cli: CommandLine, *words: str) -> dict[str, Any]:
    ended = cli(*JOB, *words, timeout=2400)
    assert ended.code == 0, ended.err + ended.out
    (record,) = cli.folder.rglob("metrics.json")
    engine = json.loads((record.parent / "environment.json").read_text())["engine"]
    return {**json.loads(record.read_text())["metrics"], "engine": engine}


@pytest.mark.parametrize(("quant", "backend"), ENVIRONMENTS)
def test_what_the_table_says_of_this_gpu(
    quant: str, backend: str, tmp_path: Path, make_cli: Callable[[Path], CommandLine]
):
    cell = quant_support.load().find(quant, backend)
    assert cell is not None
    words = (f"quant={quant}", f"backend={backend}", f"env={ENVIRONMENTS[quant, backend]}")
    if not any(map(cell.runs_on, machine.compute_capabilities())):
        ended = make_cli(tmp_path)(*JOB, *words)
        assert ended.code == 2 and "compute capability" in ended.err
        return
    metrics = ran(make_cli(tmp_path), *words)
    assert metrics["samples/failed"] == 0 and metrics["quality/exact_match"] > 0.3


def test_vllm_reserves_less_where_smaller_pictures_are_sent(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    words = ("backend=vllm", "env=vllm", "quant=bf16")
    limited = ran(make_cli(tmp_path / "limited"), *words, "model.max_pixels=37632")
    free = ran(make_cli(tmp_path / "free"), *words, "model.max_pixels=null")
    assert limited["engine"]["reserved_for_pixels"] == "37632" and "reserved_for_pixels" not in free["engine"]
    assert limited["memory/activation_gib"] <= free["memory/activation_gib"]
    assert limited["memory/kv_reserved_gib"] >= free["memory/kv_reserved_gib"]
