"""`python -m runner.doctor image=NAME`: starts an engine image, asks it the demo questions, says whether it is well.

For pipelines that build or test images: it ends with 1 where the engine does not start, a question fails, or the demo
model is not read as it should. Nothing is kept: neither answers nor the container.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.process.docker import DockerProblem, label_of
from runner.base import paths

DEFAULTS = {
    "model": "demo_m",
    "quant": "fp32",  # the same on every device
    "dataset": "demo_documents",
    "dataset.limit": "40",
    "metrics": "[exact_match]",
    "judge": "none",
    "tracking": "none",
    "reuse": "never",
    "objective": "null",
}
WELL = 0.8  # the share of questions that demo_m answers exactly is 0.95; a broken preparation of pictures gives 0.0
BACKEND_LABEL = "vlm-runner.backend"
_KNOWN = ("sglang", "vllm")


def check(image: str, overrides: Sequence[str]) -> int:
    """Ask an image the demo questions; `overrides` are words of `python -m runner`. Return 1 where it is not well."""
    given = dict(override.partition("=")[::2] for override in overrides)
    try:
        words = DEFAULTS | _environment(image) | given
        words = {"backend": backend_of(image, words.get("env.container.host"))} | words
    except DockerProblem as problem:
        return _end(f"{image}: {problem}")
    with tempfile.TemporaryDirectory(prefix="runner-image-") as folder:
        # What it finds is found from where the user is; what it leaves is left in the folder, and gone with it.
        environment = os.environ | {"RUNNER_STORE": f"{folder}/store", "RUNNER_CONF": str(paths.conf_dir())}
        command = [sys.executable, "-m", "runner", *(f"{key}={value}" for key, value in words.items())]
        code = subprocess.run([*command, f"hydra.run.dir={folder}/job"], env=environment, check=False).returncode
        if code:
            return _end(f"{image}: the job ended with {code}; see above")
        metrics: dict[str, Any] = json.loads(Path(folder, "job", "metrics.json").read_text(encoding="utf-8"))["metrics"]
    asked, failed = metrics["samples/total"], metrics.get("samples/failed", 0)
    if failed:
        return _end(f"{image}: {failed:.0f} of {asked:.0f} questions failed")
    share = metrics.get("quality/exact_match")  # absent with other metrics, or a dataset without references
    if words["model"] == DEFAULTS["model"] and share is not None and share < WELL:
        return _end(f"{image}: answers, but reads only {share:.2f} of the demo questions exactly; {WELL} are expected")
    exactly = f", {share:.2f} exactly" if share is not None else ""
    took = f"started in {metrics['engine/load_s']:.0f} s, {metrics['latency/p50_s']:.3f} s an answer"
    print(f"ok    {image}: {asked:.0f} questions answered{exactly}; {took}")  # noqa: T201
    return 0


def backend_of(image: str, host: str | None = None) -> str:
    """Return what serves in an image: what its label says, else what its name does, else our own server.

    Raise DockerProblem where the image can't be had.
    """
    docker = ("docker", "--host", host) if host else ("docker",)
    label = None if _is_apptainers(image) else label_of(docker, image, BACKEND_LABEL)
    return label or next((name for name in _KNOWN if name in image), "hf")


def _is_apptainers(image: str) -> bool:
    return image.endswith(".sif") or "://" in image


def _environment(image: str) -> dict[str, str]:
    return {
        "env": "apptainer" if _is_apptainers(image) else "docker",
        "env.container.image": image,
        "env.container.pull": "missing",
    }


def _end(what: str) -> int:
    print(f"fail  {what}")  # noqa: T201
    return 1
