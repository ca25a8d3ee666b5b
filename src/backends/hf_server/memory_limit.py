"""Limits the memory: on a GPU to simulate a smaller card, on a CPU to get an error instead of the OOM killer."""

from __future__ import annotations

import resource

import torch

_GIB = 2**30


def limit_memory(gib: float, device: torch.device) -> None:
    """Make allocations beyond `gib` GiB fail from now on, as if the memory were exhausted.

    On a GPU the limit applies to torch's caching allocator; CUDA's own context (about 0.5 GiB) is not included. On a
    CPU the limit applies to the process's private data, including weights; memory-mapped files are not included.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gib * _GIB / total), device)
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(gib * _GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
