"""Describes the machine and the software on which a number was measured."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

# The packages whose versions decide the text of an answer, or its speed.
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


def compute_capabilities() -> tuple[float, ...]:
    """Return the CUDA compute capability (such as 8.9) of each NVIDIA GPU that CUDA_VISIBLE_DEVICES leaves to engines.

    Where it names them in another way than by index, or by CUDA's own count of unlike GPUs (CUDA_DEVICE_ORDER is not
    PCI_BUS_ID), it can't be said which they are, and all are returned.
    """
    levels = [None if each is None else float(f"{each[0]}.{each[1]}") for each in capabilities()]
    known = tuple(each for each in levels if each is not None)
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return known
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names or names[0] == "-1":
        return ()
    if len(set(known)) > 1 and os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        return known
    if all(name.isdecimal() for name in names):
        chosen = [levels[int(name)] for name in names if int(name) < len(levels)]
        return tuple(each for each in chosen if each is not None)
    return known


@dataclass(frozen=True, slots=True)
class Driver:
    """NVIDIA's driver, and the newest CUDA that it knows, (major, minor); None where it does not say."""

    version: str
    cuda: tuple[int, int] | None


@functools.cache
def driver() -> Driver | None:
    """Return NVIDIA's driver; None without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return Driver(str(pynvml.nvmlSystemGetDriverVersion()), _cuda_of_driver())
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _cuda_of_driver() -> tuple[int, int] | None:
    """Ask libcuda, which may be newer than the driver (NVIDIA's package cuda-compat), and else NVML."""
    import pynvml

    for ask in (pynvml.nvmlSystemGetCudaDriverVersion_v2, pynvml.nvmlSystemGetCudaDriverVersion):
        try:
            number = int(ask())  # 12040 is 12.4
        except pynvml.NVMLError:
            continue
        return number // 1000, number % 1000 // 10
    return None


@functools.cache
def capabilities() -> tuple[tuple[int, int] | None, ...]:
    """Return the compute capability of each GPU, (7, 5) for Turing; None where NVML does not say."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    levels: list[tuple[int, int] | None] = []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(pynvml.nvmlDeviceGetHandleByIndex(index))
                levels.append((int(major), int(minor)))
            except pynvml.NVMLError:
                levels.append(None)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    return tuple(levels)


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
    """Return the versions of those packages that are installed. They are read from metadata: nothing is imported."""
    installed = {}
    for package in packages:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


@functools.cache
def fingerprint(environment: str) -> str:
    """Return a text that identifies the software of an engine's environment. It is part of an answer's cache key."""
    if "@" in environment:  # built from requirements: its name holds a hash of everything that it was built from
        return f"{environment}, server {_server_digest()}"
    parts = [f"python {platform.python_version()}"]
    parts += [f"{name} {version}" for name, version in versions(ENGINE_PACKAGES).items()]
    parts.append(f"server {_server_digest()}")
    return f"{environment}: " + ", ".join(parts)


def _server_digest() -> str:
    """Return a hash of the code of our own servers, because it changes more often than the package's version."""
    from backends import chat_server, hf_server, ocr_server

    total = hashlib.sha256()
    for package in (chat_server, hf_server, ocr_server):
        for file in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
            total.update(file.read_bytes())
    return total.hexdigest()[:12]


def visible_gpus() -> str:
    """Return the names of the GPUs that an engine may use. They are shown, and are a condition of measurements."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(gpus()) or "none"
    return names if chosen is None else f"{names} (CUDA_VISIBLE_DEVICES={chosen})"


@functools.cache
def git_commit() -> str | None:
    """Return the commit of the working directory's repository, with `-dirty` if tracked files differ from it."""
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
