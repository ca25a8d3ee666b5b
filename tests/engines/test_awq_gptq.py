"""AWQ and GPTQ checkpoints in the HF engine, in the environment that `quant` names: `make test-engines`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.engines.quantised_checkpoints import write

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
DEMO = Path(__file__).parents[2] / "assets/demo_models/demo_m/bf16"


def test_they_are_loaded_with_gptqmodel_and_read_the_documents(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    awq, gptq = (write(DEMO, tmp_path / method, method) for method in ("awq", "gptq"))
    checkpoints = (f"+model.checkpoints.awq={awq}", f"+model.checkpoints.gptq_int4={gptq}")
    job = ("model=demo_m", "env=hf_gptq_cpu", "tracking=none", "metrics=[exact_match]", "dataset.limit=60")
    folder = tmp_path / "work"
    folder.mkdir()
    cli = make_cli(folder)
    ended = cli("-m", *job, *checkpoints, "quant=awq,gptq_int4", timeout=800)
    assert ended.code == 0, ended.err
    found = {path.parent: json.loads(path.read_text()) for path in cli.folder.rglob("metrics.json")}
    assert {record["name"] for record in found.values()} == {"demo_m-awq", "demo_m-gptq_int4"}
    for record in found.values():
        # Wrong order of packing, or a vision tower of random weights, reads nothing.
        assert record["metrics"]["quality/exact_match"] >= 0.85, record["name"]
