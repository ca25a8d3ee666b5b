"""What describes the machine and the software a number was measured on."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

# What decides the text of an answer, or its speed, within one environment.
ENGINE_PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "tokenizers",
    "accelerate",
    "pillow",
    "compressed-tensors",
    "bitsandbytes",
    "gptqmodel",
    "optimum",
    "peft",
    "flash-attn",
)
RUNNER_PACKAGES = ("vlm-runner", "hydra-core", "mlflow", "aiohttp", "sacrebleu", "rapidfuzz", "numpy", "av")


@functools.cache
def gpus() -> tuple[str, ...]:
    """Return the names of this machine's NVIDIA GPUs, without importing torch."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        count = pynvml.nvmlDeviceGetCount()
        return tuple(str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index))) for index in range(count))
    finally:
        pynvml.nvmlShutdown()


@functools.cache
def cpu() -> str:
    """Return the processor's name and the number of cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores"


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions, from metadata: nothing is imported."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def fingerprint(environment: str) -> str:
    """Name the software of an engine's environment: what decides an answer's text besides model and request."""
    if "@" in environment:  # built from requirements: the hash of all that decided its content is its name
        return f"{environment}, server {_server_digest()}"
    parts = [f"python {platform.python_version()}"]
    parts += [f"{name} {version}" for name, version in versions(ENGINE_PACKAGES).items()]
    parts.append(f"server {_server_digest()}")
    return f"{environment}: " + ", ".join(parts)


def _server_digest() -> str:
    """Name the code of our own servers, which is developed faster than versions are made."""
    from backends import chat_server, hf_server, ocr_server

    total = hashlib.sha256()
    for package in (chat_server, hf_server, ocr_server):
        for file in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
            total.update(file.read_bytes())
    return total.hexdigest()[:12]


def visible_gpus() -> str:
    """Return the GPUs that an engine may use, for people and for comparing conditions."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(gpus()) or "none"
    return names if chosen is None else f"{names} (CUDA_VISIBLE_DEVICES={chosen})"


@functools.cache
def git_commit() -> str | None:
    """Return the commit of the working directory's repository, with `-dirty` where files differ from it."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        status = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("-dirty" if status.stdout.strip() else "")


def describe() -> dict[str, object]:
    """Describe this machine and this program, for environment.json."""
    return {
        "host": platform.node(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu(),
        "gpus": list(gpus()),
        "git_commit": git_commit(),
        "command": ["python", "-m", "runner", *sys.argv[1:]],
        "packages": versions(RUNNER_PACKAGES + ENGINE_PACKAGES),
    }
