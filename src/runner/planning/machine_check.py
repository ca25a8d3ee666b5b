"""What a job asks of the machine that it would run on, known in a moment: a GPU where CUDA is asked for, a driver."""

from __future__ import annotations

import os
from pathlib import Path

from runner.base import machine, paths
from runner.base.errors import Problem, Refused
from runner.config import Config, EnvConfig
from runner.planning import cuda, environments, quant_check

# Requirements whose wheels are built for CUDA and start on nothing else.
CUDA_ALONE = {
    "vllm.txt": "env=vllm_cpu",
    "vllm-bnb.txt": "quant=bf16 env=vllm_cpu",
    "sglang.txt": "env=sglang_cpu",
}
# What stands for a GPU where NVML doesn't answer: NVIDIA's devices, WSL, Jetson, and AMD's, which torch calls cuda.
_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/kfd")


def check(config: Config) -> None:
    """Refuse a store that can't be made, CUDA on a machine without a GPU, and a quantisation too new for its GPUs.

    Environments that run elsewhere, and endpoints, are asked no more than the store.
    """
    _store()
    if config.backend.base_url or config.reuse == "answers":  # stored answers may be all that is wanted
        return
    env = environments.chosen(config)
    if env.kind == "remote" or (env.container is not None and env.kind == "container" and env.container.host):
        return
    problem = _wanted(config, env)
    if problem is not None:
        raise Refused(problem)
    quant_check.refuse_here(config)


def _wanted(config: Config, env: EnvConfig) -> Problem | None:
    lacking = lacks_gpu()
    device = config.backend.device
    if device.startswith("cuda"):
        if lacking:
            return Problem(f"CUDA is asked for, and {lacking}", "backend.device", "backend.device=cpu, or auto")
        index, count = device.partition(":")[2], len(machine.gpus())
        if index.isdecimal() and count and int(index) >= count and env.kind != "container":
            return Problem(
                f"{device} is asked for, and there are {count} GPUs", "backend.device", f"cuda:0 to {count - 1}"
            )
    if not lacking:
        return cuda.problem(config, env)
    if config.backend.attention == "flash_attention_2":
        return Problem(f"flash_attention_2 needs CUDA, and {lacking}", "backend.attention", "backend.attention=sdpa")
    name = Path(env.requirements or "").name
    if env.kind == "uv" and name in CUDA_ALONE:
        return Problem(f"it is built for CUDA, and {lacking}", f"env={env.name}", CUDA_ALONE[name])
    return None


def _store() -> None:
    """Refuse a store that is not there and can't be made. One that is there and has all answers may be read alone."""
    store = paths.store_dir()
    if store.is_dir():
        return
    there = paths.nearest(store)
    if not there.is_dir():
        what = f"the store of answers, {store}, can't be made: {there} is no folder"
    elif not os.access(there, os.W_OK):
        what = f"the store of answers, {store}, can't be made: nothing can be written in {there}"
    else:
        return
    raise Refused(Problem(what, "RUNNER_STORE", "RUNNER_STORE=FOLDER, where you may write"))


def lacks_gpu() -> str | None:
    """Say why there is no GPU to be had here; None where there is one, or may be."""
    if machine.gpus():
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        return "CUDA_VISIBLE_DEVICES hides all GPUs" if hidden in ("", "-1") else None
    return None if gpu_device() else "this machine has no GPU (python -m runner.doctor)"


def gpu_device() -> str | None:
    """Return the device that stands for a GPU where NVML may not answer; None where there is none."""
    return next((device for device in _DEVICES if Path(device).exists()), None)
