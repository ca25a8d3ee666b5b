"""The server's statistics: facts about the model, memory, and counts of requests."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import resource
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from backends.hf_server.batcher import Counts
from backends.hf_server.families.qwen_sizes import QwenSizes
from backends.hf_server.loaded import Loaded


def model_facts(loaded: Loaded) -> dict[str, Any]:
    """Return the facts that don't change after loading. Sizes are in bytes, times in seconds."""
    import transformers

    settings = loaded.settings
    sizes = weight_bytes(loaded.model)
    return {
        "model": settings.model,
        "weights": settings.weights,
        "family": loaded.family.name,
        "architecture": type(loaded.model).__name__,
        "load_s": round(loaded.load_s, 3),
        "load_steps_s": {name: round(seconds, 3) for name, seconds in loaded.steps_s.items()},
        "parameters": int(loaded.model.num_parameters()),
        "weights_bytes": sum(sizes.values()),
        "weights_bytes_by_dtype": dict(sizes),
        "device": str(loaded.device),
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "quantization": quantization_in_use(loaded.model),
        "attention": attention_in_use(loaded.model.config),
        "batch_size": settings.batch_size,
        "context_tokens": loaded.context_tokens,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "cuda": torch.version.cuda,
        },
    }


def running_facts(loaded: Loaded, counts: Counts) -> dict[str, Any]:
    """Return the figures that change: requests, batches, tokens and memory."""
    mean = counts.batched_requests / counts.batches if counts.batches else None
    return {
        "requests": {"served": counts.served, "failed": counts.failed, "cancelled": counts.cancelled},
        "batches": {"count": counts.batches, "requests": counts.batched_requests, "mean_size": mean},
        "tokens": {"prompt": counts.prompt_tokens, "completion": counts.completion_tokens},
        "resident_bytes": resident_bytes(),
        "cuda": cuda_memory(loaded.device) if loaded.device.type == "cuda" else None,
        "qwen_vl_utils": sizes.account() if (sizes := _qwen_sizes(loaded)) is not None else None,
    }


def _qwen_sizes(loaded: Loaded) -> QwenSizes | None:
    """Return the comparison of picture sizes with qwen-vl-utils; None for families without it, which most are."""
    return getattr(loaded.family, "qwen_sizes", None)


def reset_peaks(loaded: Loaded) -> None:
    """Reset the allocator's peaks, after freeing blocks that only an earlier job needed.

    The counts of pictures whose sizes are compared with qwen-vl-utils are reset as well.
    """
    if (sizes := _qwen_sizes(loaded)) is not None:
        sizes.reset()
    gc.collect()
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(loaded.device)
    _return_free_memory()


def _return_free_memory() -> None:
    """Return the free memory of malloc to the system, so that a later job doesn't inherit an earlier peak."""
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def cuda_memory(device: torch.device) -> dict[str, Any]:
    """Return the memory of a GPU as torch's caching allocator reports it, in bytes."""
    return {
        "name": torch.cuda.get_device_name(device),
        "allocated_bytes": torch.cuda.memory_allocated(device),
        "reserved_bytes": torch.cuda.memory_reserved(device),
        "max_allocated_bytes": torch.cuda.max_memory_allocated(device),
        "max_reserved_bytes": torch.cuda.max_memory_reserved(device),
        "total_bytes": torch.cuda.get_device_properties(device).total_memory,
    }


def weight_bytes(model: Any) -> Counter[str]:
    """Return the bytes of parameters and buffers by dtype. Shared storage is counted once."""
    seen: set[tuple[str, int]] = set()
    sizes: Counter[str] = Counter()
    for tensor in (*model.parameters(), *model.buffers()):
        storage = tensor.untyped_storage()
        place = (str(tensor.device), storage.data_ptr())
        if storage.nbytes() and place not in seen:
            seen.add(place)
            sizes[str(tensor.dtype).removeprefix("torch.")] += storage.nbytes()
    return sizes


def quantization_in_use(model: Any) -> dict[str, Any] | None:
    """Return the quantisation that the loaded model uses; None for an unquantised model.

    `weights_bytes_by_dtype` shows how the weights are in memory: transformers unpacks compressed-tensors.
    """
    config = getattr(model.config, "quantization_config", None)
    if config is None:
        return None
    values: dict[str, Any] = config if isinstance(config, dict) else config.to_dict()
    method = values.get("quant_method")
    description: dict[str, Any] = {"method": str(getattr(method, "value", method))}
    for name in ("format", "bits", "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type"):
        if (value := values.get(name)) is not None:
            description[name] = value
    inner: dict[str, Any] = values.get("quantization_config") or {}
    groups = (values.get("config_groups") or inner.get("config_groups") or {}).values()
    weights: list[dict[str, Any]] = [group["weights"] for group in groups if group.get("weights")]
    if weights:
        description["bits"] = weights[0].get("num_bits")
    return description


def attention_in_use(config: Any) -> str:
    """Return the attention implementation of the loaded model. If its parts differ, name each part."""
    names = ("text_config", "vision_config")
    parts = {name: getattr(getattr(config, name, None), "_attn_implementation", None) for name in names}
    whole = getattr(config, "_attn_implementation", None)
    used = {value for value in (whole, *parts.values()) if value is not None}
    if len(used) == 1:
        return str(used.pop())
    return ", ".join(f"{name.removesuffix('_config')}={value}" for name, value in parts.items() if value) or str(whole)


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes: the current value on Linux, elsewhere the peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
