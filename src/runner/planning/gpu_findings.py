"""What the doctor says of GPUs, their driver, and what engines compile kernels with."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import OmegaConf

from runner.base import machine, paths
from runner.planning import cuda, machine_check
from runner.planning.finding import Finding

_GIB = 2**30
_NO_NVML = (
    "engines may use it; their GPU memory and energy are not measured without NVML. A container needs it, too: "
    "NVIDIA_DRIVER_CAPABILITIES=compute,utility; WSL 2: install NVIDIA's driver on Windows, and wsl --update"
)


def gpus() -> Iterator[Finding]:
    """Ask NVML, which measures memory and energy, for the driver and the GPUs."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if device := machine_check.gpu_device():
            yield Finding("warn", f"a GPU seems to be there ({device}), and NVML says {error}", _NO_NVML)
            return
        yield Finding(
            "warn",
            f"no NVIDIA GPU: NVML says {error}",
            "without one the demo models, w8a8, w4a16 and env=vllm_cpu work; with one, install its driver, and give a "
            "container --gpus all",
        )
        return
    try:
        yield from _driver()
        for index, name in enumerate(machine.gpus()):
            yield _gpu(index, name)
    except pynvml.NVMLError as error:
        yield Finding("fail", f"NVML broke off: {error}", "nvidia-smi should show the same; restart the driver")
    finally:
        pynvml.nvmlShutdown()


def _driver() -> Iterator[Finding]:
    driver = machine.driver()
    if driver is None:
        yield Finding("warn", "NVML does not tell the driver's version", "nvidia-smi should show it")
        return
    knows = f", CUDA up to {'.'.join(map(str, driver.cuda))}" if driver.cuda else ""
    newest = max(cuda.FLOORS)
    what = cuda.too_old(newest)
    names = ", ".join(f"env={name}" for name in cuda_environments(newest))
    remedy = f"these are built for CUDA {newest} and don't start here: {names}"
    yield Finding("warn" if what else "ok", what or f"NVIDIA driver {driver.version}{knows}", remedy if what else "")


def cuda_environments(version: int) -> list[str]:
    """Return the names of conf/env whose requirements pin wheels for a major version of CUDA."""
    names = []
    for file in sorted((paths.conf_dir() / "env").glob("*.yaml")):
        requirements = OmegaConf.select(OmegaConf.load(file), "requirements")
        if requirements and cuda.cuda_of(paths.resolve(requirements)) == version:
            names.append(file.stem)
    return names


def _gpu(index: int, name: str) -> Finding:
    """Say what a GPU is and how much of it is free."""
    import pynvml

    capability = next(iter(machine.capabilities()[index : index + 1]), None)
    what = f"GPU {index}: {name}" + (f", compute capability {'.'.join(map(str, capability))}" if capability else "")
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        is_divided = bool(pynvml.nvmlDeviceGetMigMode(handle)[0])
    except pynvml.NVMLError:  # older than Ampere
        is_divided = False
    if is_divided:
        remedy = "memory is measured for the instances that are visible here, energy is not: docs/engines.md, Memory"
        return Finding("warn", f"{what}, divided (MIG)", remedy)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    free, total = int(memory.free) / _GIB, int(memory.total) / _GIB
    busy = free < 0.9 * total
    remedy = "somebody uses it: nvidia-smi shows who" if busy else ""
    return Finding("warn" if busy else "ok", f"{what}, {free:.1f} of {total:.1f} GiB free", remedy)


def compilers() -> Iterator[Finding]:
    """Look for what vLLM and SGLang compile kernels with when they start on a GPU."""
    lacking = list(cuda.missing_compilers())
    if lacking:
        what = f"no {', no '.join(lacking)}: needed by vLLM and SGLang on a GPU, and by env=sglang_cpu"
        yield Finding("warn", what, cuda.COMPILERS_REMEDY)
    else:
        yield Finding("ok", "C and C++ compilers and Python's headers, for kernels that engines compile")
