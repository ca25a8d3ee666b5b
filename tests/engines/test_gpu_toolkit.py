"""vLLM and SGLang on a GPU with the packages of their environments alone, without a CUDA toolkit: `make test-gpu`.

Never run where there is no GPU. The environments are built, 10 GB each, and the first start compiles kernels.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import CommandLine

NO_GPU = not any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))


@pytest.mark.gpu
@pytest.mark.timeout(3600)
@pytest.mark.skipif(NO_GPU, reason="no NVIDIA GPU")
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
def test_an_engine_needs_no_toolkit(cli: CommandLine, backend: str) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    cli.environment["PATH"] = os.pathsep.join(one for one in folders if shutil.which("nvcc", path=one) is None)
    cli.environment |= {"CUDA_HOME": "/nowhere", "CUDA_PATH": "/nowhere"}
    ended = cli(
        "model=demo_m", "quant=bf16", f"backend={backend}", f"env={backend}", "dataset.limit=4", "tracking=none",
        "backend.start_timeout_s=3000", timeout=3500,
    )  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    (path,) = cli.folder.rglob("metrics.json")
    metrics = json.loads(path.read_text())["metrics"]
    assert "samples/failed" not in metrics or metrics["samples/failed"] == 0
    assert metrics["memory/gpu_peak_gib"] > 0
    engine = json.loads((path.parent / "environment.json").read_text())["engine"]
    assert "flashinfer" not in engine, "FlashInfer was dropped: nvcc or ninja was not found"
