"""What all engines' logs may say of CUDA and compilers, and what a user is told to do."""

import pytest

from backends import hf_failures, sglang_failures, vllm_failures

ENGINES = (hf_failures, sglang_failures, vllm_failures)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda module: module.__name__)
@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        ("torch.AcceleratorError: CUDA error: out of memory", "out_of_memory", "out of GPU memory"),
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "out_of_memory",
            "out of GPU memory",
        ),
        (
            "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
            "engine_died",
            "a CUDA kernel failed (an illegal memory access was encountered)",
        ),
        ("CUDA error: device-side assert triggered", "engine_died", "not of the driver"),
        ("CUDA error: no kernel image is available for execution on the device", "start_failed", "Turing"),
        # torch 2.14.1, c10/cuda
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12040). Please",
            "start_failed",
            "driver 580 or newer",
        ),
        # sglang 0.5.23, kernels/jit/utils/compile/toolchain.py:244, with CUDA_HOME=site-packages/nvidia/cu13: seen
        ("/usr/bin/ld: cannot find -lcudart: No such file or directory", "start_failed", "no libcudart.so"),
        # nvidia-cuda-cccl 13.3.5.0.6, cuda/std/__cccl/cuda_toolkit.h:41, with nvcc 13.5 and headers of 13.0: seen
        (
            'error: #error "CUDA compiler and CUDA toolkit headers are incompatible, please check your include paths"',
            "start_failed",
            "pin nvidia-cuda-nvcc",
        ),
        # vllm 0.33.0, third_party/fmha_sm100/jit.py:223, decode_q8kv4/_build_utils.py:142
        ("RuntimeError: Cannot find CUDA toolkit. Set CUDA_HOME.", "start_failed", "env.variables.CUDA_HOME"),
        ("RuntimeError: No runnable CUDA toolkit was found. Set CUDA_HOME or", "start_failed", "nvidia-cuda-nvcc"),
        # flashinfer 0.7.2, jit/cpp_ext.py:60
        ("Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist", "start_failed", "CUDA_HOME"),
        ("[Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'", "start_failed", "CUDA_HOME"),
        ("gcc: fatal error: cannot execute 'cc1plus': execvp: No such file or directory", "start_failed", "g++"),
        ("/bin/sh: 1: c++: not found", "start_failed", "apt install build-essential"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ninja'", "start_failed", "ninja"),
        # triton 3.8.0, runtime/build.py:33
        (
            "RuntimeError: Failed to find C compiler. Please specify via CC environment variable or set "
            "triton.knobs.build.impl.",
            "start_failed",
            "apt install build-essential",
        ),
        ("/tmp/x/main.c:4:10: fatal error: Python.h: No such file or directory", "start_failed", "python3-dev"),
        # apache-tvm-ffi 0.1.11, cpp/extension.py:149
        (
            "RuntimeError: Could not find CUDA installation. Please set CUDA_HOME environment variable.",
            "start_failed",
            "env.variables.CUDA_HOME",
        ),
        ("/bin/sh: 1: nvcc: not found", "start_failed", "env.variables.CUDA_HOME"),
    ],
)
def test_what_is_told(engine, log: str, kind: str, words: str) -> None:
    failure = engine.translate(log)
    assert failure is not None and failure.kind == kind and words in failure.message


def test_sglang_whose_weights_leave_no_room() -> None:
    # sglang 0.5.23, srt/mem_cache/kv_cache_configurator.py:3051
    log = (
        "ValueError: Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=0.8. "
        "Raise --mem-fraction-static above 0.912"
    )
    failure = sglang_failures.translate(log)
    assert failure is not None and failure.kind == "out_of_memory" and "mem_fraction_static" in failure.message
