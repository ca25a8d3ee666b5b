"""GPUs for engines that run side by side: each claims its own, by a lock that the kernel releases with the process."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from backends.api import EngineFailed, Failure, Launch
from backends.process.environments import Environment

_POLL_S = 1.0
VARIABLE = "CUDA_VISIBLE_DEVICES"
# CUDA counts the fastest GPU first unless it is told to count by bus, as NVML and nvidia-smi do (CUDA programming
# guide, "CUDA Environment Variables"). On a machine with unlike GPUs the same index is another GPU.
PCI_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


class Claim:
    """Some GPUs of this machine that no other engine of this user's runners uses while it is held."""

    def __init__(self, devices: tuple[str, ...], locks: tuple[FileLock, ...]) -> None:
        """Hold locks that were taken."""
        self.devices, self._locks = devices, locks

    def release(self) -> None:
        """Let others have them. Safe to call twice."""
        for lock in self._locks:
            lock.release()


def claim(count: int, say: Callable[[str], None]) -> Claim:
    """Take `count` GPUs, waiting for them if need be. Raise EngineFailed where this machine has fewer.

    The candidates are those of CUDA_VISIBLE_DEVICES, or all. None or all are taken, so that two that need two each
    don't wait for one another.
    """
    devices = visible()
    if len(devices) < count:
        shown = f"{VARIABLE}={os.environ[VARIABLE]}" if VARIABLE in os.environ else "of this machine"
        what = f"pool.gpus={count} for each engine, but only {len(devices)} GPUs are visible ({shown})"
        raise EngineFailed(Failure("start_failed", what))
    folder = Path(tempfile.gettempdir()) / f"vlm-runner-gpus-{os.getuid()}"  # of the machine, not of a shared disk
    folder.mkdir(mode=0o700, exist_ok=True)
    said = False
    while True:
        taken: dict[str, FileLock] = {}
        for device in devices:
            lock = FileLock(folder / f"{device.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            taken[device] = lock
            if len(taken) == count:
                return Claim(tuple(taken), tuple(taken.values()))
        for lock in taken.values():
            lock.release()
        if not said:
            say(f"waiting for {count} free of {len(devices)} GPUs")
            said = True
        time.sleep(_POLL_S)


def order() -> dict[str, str]:
    """Return the variable under which CUDA counts as NVML does; nothing where the user chose GPUs or an order."""
    return {} if VARIABLE in os.environ or "CUDA_DEVICE_ORDER" in os.environ else dict(PCI_ORDER)


def visible() -> list[str]:
    """Return the GPUs that an engine started here could use, as CUDA_VISIBLE_DEVICES names them."""
    if (given := os.environ.get(VARIABLE)) is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    import pynvml

    try:
        pynvml.nvmlInit()
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except (OSError, pynvml.NVMLError):
        return []


@dataclasses.dataclass(frozen=True)
class OnGpus:
    """An environment whose engines see only the claimed GPUs."""

    inner: Environment
    devices: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the environment itself is called: which GPU it was does not decide an answer."""
        return self.inner.name

    def build(self, say: Callable[[str], None]) -> None:
        """Build the environment itself."""
        self.inner.build(say)

    def prepare(self, launch: Launch) -> Launch:
        """Name the GPUs in the engine's environment."""
        variables = {**launch.variables, VARIABLE: ",".join(self.devices)}
        if VARIABLE not in os.environ:  # the indexes are NVML's, so CUDA must count as NVML does, whatever it was told
            variables |= PCI_ORDER
        return self.inner.prepare(dataclasses.replace(launch, variables=variables))
