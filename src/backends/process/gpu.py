"""What a process tree holds on the GPUs and what they consume, by NVML. Without NVML: None, never 0."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOTICEABLE_BYTES = 64 * 2**20  # a device that holds less more than before is not in use by the engine
_DEVICE_FILE = re.compile(r"/dev/nvidia\d+$")


@dataclass(frozen=True, slots=True)
class GpuReading:
    """GPU memory in bytes, and the devices it is on.

    `owned`: of the tree's own processes; None where NVML never listed one. `risen`: what all devices hold more than
    before the engine started; None where the tree doesn't use a GPU.
    """

    owned: int | None
    risen: int | None
    devices: frozenset[int] = frozenset()


class Gpus:
    """All GPUs of this machine. Open it before the engine starts: what is held then is the baseline."""

    def __init__(self, nvml: Any, *, uses_gpu: Callable[[Collection[int]], bool] | None = None) -> None:
        """Take an initialised NVML module (pynvml, or a fake of it)."""
        self._nvml = nvml
        self._uses_gpu = uses_gpu or _holds_device_file
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        self._baseline = [self._held(handle) for handle in self._handles]
        self._pids_match = False

    @classmethod
    def open(cls) -> Gpus | None:
        """Return the machine's GPUs, None where there is no NVML or no device."""
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            gpus = cls(pynvml)
        except (pynvml.NVMLError, OSError):
            return None
        return gpus if gpus._handles else None

    def read(self, pids: Collection[int]) -> GpuReading | None:
        """Return what the processes `pids` hold now; None where NVML does not answer."""
        try:
            by_device = [self._owned(handle, pids) for handle in self._handles]
            if any(by_device):
                self._pids_match = True
            if self._pids_match:
                devices = frozenset(index for index, held in enumerate(by_device) if held)
                return GpuReading(owned=sum(by_device), risen=None, devices=devices)
            if not self._uses_gpu(pids):
                return GpuReading(owned=None, risen=None)
            risen = [self._held(handle) - before for handle, before in zip(self._handles, self._baseline, strict=True)]
        except self._nvml.NVMLError:
            return None
        devices = frozenset(index for index, more in enumerate(risen) if more > _NOTICEABLE_BYTES)
        return GpuReading(owned=None, risen=sum(max(0, more) for more in risen), devices=devices)

    def energy(self) -> dict[int, float]:
        """Return the joules that each device has consumed since its driver was loaded, where it counts them."""
        joules = {}
        for index, handle in enumerate(self._handles):
            try:
                joules[index] = self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000  # NVML: mJ
            except self._nvml.NVMLError:
                continue  # older than Volta, or hidden from this container
        return joules

    def _owned(self, handle: Any, pids: Collection[int]) -> int:
        """Return the bytes of `pids` on one device. A process may be listed with unknown memory."""
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return sum(process.usedGpuMemory or 0 for process in running if process.pid in pids)

    def _held(self, handle: Any) -> int:
        return int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used)


def _holds_device_file(pids: Collection[int]) -> bool:
    """Say whether one of `pids` has a GPU open: else a rise of the device's memory is somebody else's."""
    for pid in pids:
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if _DEVICE_FILE.match(os.readlink(descriptor)):  # noqa: PTH115  text is enough and cheaper
                    return True
            except OSError:
                continue
    return False
