"""What a process tree holds on the GPUs and what they consume, by NVML. What is unknown is None and never 0."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOTICEABLE_BYTES = 64 * 2**20  # a device that holds less more than before is not in use by the engine
# What a process that uses a GPU has open: NVIDIA's driver, WSL 2's, Jetson's. /dev/nvidiactl alone is no use of a GPU.
_DEVICE_FILE = re.compile(r"/dev/(?:nvidia\d+|nvidia-caps/nvidia-cap\d+|dxg|nvhost-gpu|nvmap)$")
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvmap")  # one of them is there where a GPU is
_MIG_ENERGY = "energy is unknown: NVML counts it for a whole GPU, and this one is divided (MIG)"


@dataclass(frozen=True, slots=True)
class GpuReading:
    """GPU memory in bytes, and the devices it is on, as positions in the list of devices.

    `owned`: of the tree's own processes; None where NVML never listed one. `risen`: what all devices hold more than
    before the engine started; None where the tree doesn't use a GPU. `problem` says why the tree uses a GPU of whose
    memory nothing is known.
    """

    owned: int | None
    risen: int | None
    devices: frozenset[int] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Device:
    """A GPU, or an instance of one that is divided (MIG). `before` is what it held when it was opened, in bytes."""

    handle: Any
    before: int
    is_instance: bool
    lists_processes: bool  # NVML has no such list on WSL 2


class Gpus:
    """All GPUs of this machine. Open it before the engine starts: what is held then is the baseline.

    Of a GPU in MIG mode NVML tells the memory only to root, and to others that of the instances that they see
    (nvml.h of nvidia-nvml-dev 13.0.87, nvmlDeviceGetMemoryInfo), so the instances are asked.
    """

    def __init__(
        self, nvml: Any, *, uses_gpu: Callable[[Collection[int]], bool] | None = None, problem: str = ""
    ) -> None:
        """Take an initialised NVML module (pynvml, or a fake of it), or one that is of no use, and the `problem`."""
        self._nvml = nvml
        self._uses_gpu = uses_gpu or _holds_device_file
        self._problems = [problem] if problem else []
        self._devices = [] if problem else list(self._opened())
        self._pids_match = False

    @classmethod
    def open(cls) -> Gpus | None:
        """Return the machine's GPUs, None where there is no device. They may be there, and NVML not."""
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            gpus = cls(pynvml)
        except (pynvml.NVMLError, OSError) as error:
            is_there = any(Path(device).exists() for device in _DEVICES)
            return cls(pynvml, problem=f"NVML says {error}") if is_there else None
        return gpus if gpus._devices or gpus._problems else None

    def read(self, pids: Collection[int]) -> GpuReading | None:
        """Return what the processes `pids` hold now; None where NVML does not answer."""
        try:
            by_device = [self._owned(device, pids) for device in self._devices]
            if any(by_device):
                self._pids_match = True
            if self._pids_match:
                devices = frozenset(index for index, held in enumerate(by_device) if held)
                return GpuReading(owned=sum(by_device), risen=None, devices=devices)
            if not self._uses_gpu(pids):
                return GpuReading(owned=None, risen=None)
            risen = [self._held(device.handle) - device.before for device in self._devices]
        except self._nvml.NVMLError as error:
            return GpuReading(owned=None, risen=None, problem=f"NVML says {error}") if self._uses_gpu(pids) else None
        devices = frozenset(index for index, more in enumerate(risen) if more > _NOTICEABLE_BYTES)
        if not devices and self._problems:  # it is on a device that can't be asked
            return GpuReading(owned=None, risen=None, problem="; ".join(self._problems))
        return GpuReading(owned=None, risen=sum(max(0, more) for more in risen), devices=devices)

    def energy(self) -> dict[int, float]:
        """Return the joules that each device has consumed since its driver was loaded, where it counts them."""
        joules = {}
        for index, device in enumerate(self._devices):
            if device.is_instance:
                continue
            try:
                joules[index] = self._nvml.nvmlDeviceGetTotalEnergyConsumption(device.handle) / 1000  # NVML: mJ
            except self._nvml.NVMLError:
                continue  # older than Volta, or hidden from this container
        return joules

    def without_energy(self, devices: Collection[int]) -> str:
        """Say why the energy of these devices can't be known where that has a reason; else nothing."""
        return _MIG_ENERGY if any(self._devices[index].is_instance for index in devices) else ""

    def _opened(self) -> Iterator[_Device]:
        """Yield the devices that tell their memory; what the others say instead is kept for a note."""
        for number in range(self._nvml.nvmlDeviceGetCount()):
            try:
                whole = self._nvml.nvmlDeviceGetHandleByIndex(number)
                is_divided = self._is_divided(whole)
                for handle in self._instances(whole) if is_divided else (whole,):
                    yield _Device(handle, self._held(handle), is_divided, self._lists_processes(handle))
            except self._nvml.NVMLError as error:
                self._problems.append(f"NVML says of GPU {number}: {error}")

    def _is_divided(self, handle: Any) -> bool:
        try:
            current, _ = self._nvml.nvmlDeviceGetMigMode(handle)
        except self._nvml.NVMLError:  # not supported: older than Ampere, or a card of another kind
            return False
        return bool(current)

    def _instances(self, whole: Any) -> Iterator[Any]:
        """Yield the instances of a divided GPU that are visible here. Their indices may have gaps."""
        listed = False
        for index in range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(whole)):
            try:
                yield self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(whole, index)
            except self._nvml.NVMLError:
                continue
            listed = True
        if not listed:
            self._problems.append("a GPU is divided (MIG), and NVML shows none of its instances here")

    def _lists_processes(self, handle: Any) -> bool:
        try:
            self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except self._nvml.NVMLError:
            return False
        return True

    def _owned(self, device: _Device, pids: Collection[int]) -> int:
        """Return the bytes of `pids` on one device. A process may be listed with unknown memory."""
        if not device.lists_processes:
            return 0
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses(device.handle)
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
