"""The task file of env=skypilot, read by SkyPilot's own parser. Nothing is rented."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from tests.patience import patient

ROOT = Path(__file__).parents[2]
READ = """
import json, sky, sys
task = sky.Task.from_yaml(sys.argv[1])
task.validate_name(), task.expand_and_validate_workdir()
print(json.dumps([[str(one.cloud), one.accelerators] for one in task.resources] + [task.setup, task.run, task.workdir]))
"""


def test_the_task_is_what_the_environment_says(tmp_path: Path):
    """$SKYPILOT_PYTHON: an interpreter that has SkyPilot, which is too large to ask for."""
    python = os.environ.get("SKYPILOT_PYTHON", sys.executable)
    variables = {**os.environ, "HOME": str(tmp_path), "SKYPILOT_DISABLE_USAGE_COLLECTION": "1"}
    if subprocess.run(
        [python, "-c", "import sky"], env=variables, capture_output=True, timeout=patient(120)
    ).returncode:
        pytest.skip("SkyPilot is not installed: pip install skypilot, or SKYPILOT_PYTHON=…/bin/python")
    env = OmegaConf.load(ROOT / "conf" / "env" / "skypilot.yaml")
    file = next(word for word in env.remote.start if word.endswith(".yaml"))
    done = subprocess.run(
        [python, "-c", READ, file], env=variables, cwd=ROOT, capture_output=True, text=True, timeout=patient(120)
    )
    assert done.returncode == 0, done.stderr
    *resources, setup, run, workdir = json.loads(done.stdout)
    assert {cloud for cloud, _ in resources} == {"RunPod", "Lambda", "Nebius", "GCP", "AWS"}
    assert all(accelerators == {"H100": 1} for _, accelerators in resources), "one kind of GPU in one environment"
    assert "H100" in env.remote.gpu
    assert "engine/ready" in setup and "envs/vllm.txt" in setup and run is None
    assert workdir == str(ROOT)
