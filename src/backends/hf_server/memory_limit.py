"""A limit on memory: would it fit into a smaller card? And on a CPU: an error instead of the kernel's kill."""

from __future__ import annotations

import resource

import torch

_GIB = 2**30


def limit_memory(gib: float, device: torch.device) -> None:
    """Let allocations beyond `gib` GiB fail from now on, as they do where memory runs out.

    On a GPU the caching allocator's share is limited: the context of CUDA itself (some 0.5 GiB) comes on top. On a CPU
    it is the process's private data, weights included; files that are mapped into memory don't count.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, gib * _GIB / total), device)
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(gib * _GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
