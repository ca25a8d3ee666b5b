"""What the log of an engine means: patterns of known failures, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backends.api import Failure, FailureKind, KnownFailure


def known(pattern: str, message: str, kind: FailureKind = "start_failed") -> KnownFailure:
    """Return a known failure; case doesn't matter."""
    return KnownFailure(re.compile(pattern, re.IGNORECASE), message, kind)


def first(failures: Iterable[KnownFailure], text: str) -> Failure | None:
    """Return the first of `failures` that stands in `text`: list them from the special to the general."""
    for failure in failures:
        if match := failure.pattern.search(text):
            name = next((value for value in match.groups() if value), "")
            return Failure(failure.kind, failure.message.replace("{name}", name))
    return None


# Every engine that loads through transformers and the hub says these.
HUB = (
    known(
        r"gated repo|401 Client Error|Access to model [^\n]* is restricted|403 Client Error",
        "the hub refuses this model: accept its licence there and set HF_TOKEN, or give a local copy with model.path",
    ),
    known(
        r"couldn't connect to '?https?://|LocalEntryNotFoundError|offline mode|OfflineModeIsEnabled"
        r"|Max retries exceeded|Name or service not known|Temporary failure in name resolution"
        r"|cannot find the requested files in the (?:local )?(?:disk )?cache",
        "the model is not in the hub's cache and the hub can't be reached: point HF_HOME at a cache that holds it, "
        "give a local copy with model.path=..., or measure without weights with model.weights=dummy",
    ),
    known(
        r"is not a (?:local folder and is not a )?valid model identifier|RepositoryNotFoundError|RevisionNotFoundError",
        "the hub has no such model or revision: check the checkpoint's name and model.revision",
    ),
)

# PyTorch says `CUDA out of memory` where its own allocator fails and `CUDA error: out of memory` where the driver
# does. cuBLAS and cuDNN have words of their own (c10/cuda/CUDAException.cpp, ATen/cuda/Exceptions.h of torch 2.13).
GPU_OUT_OF_MEMORY = (
    r"CUDA out of memory|torch\.OutOfMemoryError|OutOfMemoryError: |CUDA error: out of memory"
    r"|CU(?:DNN|BLAS|SPARSE|SOLVER)_STATUS_ALLOC_FAILED|CUDA_ERROR_OUT_OF_MEMORY"
)
OUT_OF_MAIN_MEMORY = r"DefaultCPUAllocator: can't allocate memory|\bMemoryError\b|Cannot allocate memory"
NO_CUDA = (
    r"no kernel image is available|CUDA driver version is insufficient|NVIDIA driver on your system is too old"
    r"|Found no NVIDIA driver|No CUDA GPUs are available|CUDA unknown error|libcuda\.so"
    r"|Torch not compiled with CUDA enabled"
)
# A kernel that went wrong: neither the driver nor the installation is to blame.
KERNEL_FAILED = (
    known(
        r"CUDA error: (an illegal memory access was encountered|an illegal instruction was encountered"
        r"|misaligned address|device-side assert triggered|unspecified launch failure|the launch timed out[^\n]*"
        r"|invalid configuration argument|too many resources requested for launch)",
        "a CUDA kernel failed ({name}), which is a fault of the engine or the model's kernels and not of the driver: "
        "try another backend.attention or backend.engine_args.enforce_eager=true, another quant, or another version",
        "engine_died",
    ),
)
# Older than what the engine's CUDA works with: torch 2.14.1, c10 (the driver) and torch/cuda/__init__.py:381 (the GPU).
TOO_OLD = (
    known(
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient",
        "the NVIDIA driver is too old for this environment: CUDA 13 needs driver 580 or newer, CUDA 12 needs 525. "
        "Update it; python -m runner.doctor shows what is here",
    ),
    known(
        r"no kernel image is available|does not include kernels for this GPU",
        "this environment has no kernels for this GPU: builds for CUDA 13 begin with Turing, compute capability 7.5 "
        "(python -m runner.doctor shows yours). Take a newer GPU, or an env that is built for CUDA 12",
    ),
)
# What compiles kernels at the first use: Triton 3.8 (runtime/build.py:33) a C file against Python's headers; tvm_ffi
# 0.1.11 (cpp/extension.py:149) and FlashInfer CUDA, with nvcc and a C++ compiler.
COMPILERS = (
    known(
        r"Failed to find C(?:\+\+)? compiler|\b(?:gcc|cc|g\+\+|c\+\+): (?:command )?not found"
        r"|No such file or directory: '(gcc|g\+\+|cc|c\+\+)'|cannot execute '?cc1plus",
        "kernels are compiled when they are first used, and this machine has no C compiler: install gcc and g++ "
        "(Debian, Ubuntu: apt install build-essential)",
    ),
    known(
        r"Python\.h: No such file or directory",
        "kernels are compiled when they are first used, and Python's headers are missing: install them "
        "(Debian, Ubuntu: apt install python3-dev, of the version that the environment has)",
    ),
    known(
        r"Could not find CUDA installation"
        r"|(?:Could not find|Unable to find|No such file or directory:) '?[\w./-]*\bnvcc"
        r"|nvcc: (?:command )?not found|nvcc is required|CUDA_HOME environment variable is not set"
        r"|Cannot find CUDA toolkit|No runnable CUDA toolkit was found",
        "kernels are compiled with nvcc when they are first used, and it was not found: an environment of kind uv has "
        "it where its requirements name nvidia-cuda-nvcc; else name the folder with bin/nvcc of the engine's CUDA "
        "version: env=NAME +env.variables.CUDA_HOME=FOLDER, or CUDA_HOME of your shell with env=current",
    ),
    known(
        r"cannot find -l(cudart|cuda|nvrtc|cublas)\b",
        "compiled kernels can't be linked, there is no lib{name}.so: CUDA_HOME must name a whole CUDA toolkit with "
        "lib64 and lib64/stubs; leave it unset, and the one of the environment's packages is taken",
    ),
    known(
        r"CUDA compiler and CUDA toolkit headers are incompatible",
        "nvcc is of another CUDA version than the headers it compiles with: pin nvidia-cuda-nvcc, nvidia-nvvm and "
        "nvidia-cuda-crt to the CUDA version of nvidia-cuda-runtime, as envs/sglang.txt does",
    ),
    known(
        r"\bninja: (?:command )?not found|No such file or directory: '(ninja)'",
        "kernels are compiled through ninja, which was not found: add ninja to the environment's requirements",
    ),
)
PORT_IN_USE = r"address already in use|EADDRINUSE|errno 98\b|port is already allocated|port \d+ is (?:already )?in use"
