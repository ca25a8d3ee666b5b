"""What the log of SGLang means: known failures, each with what to do."""

from __future__ import annotations

from backends.api import Failure
from backends.known_failures import (
    COMPILERS,
    GPU_OUT_OF_MEMORY,
    HUB,
    KERNEL_FAILED,
    NO_CUDA,
    OUT_OF_MAIN_MEMORY,
    PORT_IN_USE,
    TOO_OLD,
    first,
    known,
)

# The first that matches wins: from the special to the general.
_FAILURES = (
    known(
        r"error: (?:argument|unrecognized arguments:?|the following arguments)\s*([^\n]*)",
        "sglang refuses its command line ({name}): compare backend.engine_args with `python -m sglang.launch_server "
        "--help` of this environment's version",
    ),
    known(
        # 0.5.23: model_executor/pool_configurator.py:96, mem_cache/kv_cache_configurator.py:3051
        r"Not enough memory[^\n]*mem-fraction-static|increase --mem-fraction-static"
        r"|leave no GPU memory for the KV cache",
        "weights leave no memory for the KV cache: raise backend.engine_args.mem_fraction_static, or take a smaller "
        "quant",
        "out_of_memory",
    ),
    known(
        GPU_OUT_OF_MEMORY,
        "out of GPU memory: lower backend.engine_args.mem_fraction_static, chunked_prefill_size or max_pixels, take a "
        "smaller quant, or tp_size=2 and more",
        "out_of_memory",
    ),
    known(
        OUT_OF_MAIN_MEMORY,
        "out of main memory: lower backend.engine_args.max_total_tokens, take a smaller quant or model, or free memory",
        "out_of_memory",
    ),
    known(
        r"(?:Unknown|Invalid) quantization method: (\S+)|quantization method (\S+) is not supported"
        r"|Quantization method specified in the model config \((\S+)\) does not match",
        "sglang can't run this quantisation here {name}: compare the checkpoint's quantization_config with what this "
        "device supports, or choose another quant",
    ),
    known(
        r"context[_ ]length \((\d+)\) is (?:greater|larger) than the derived",
        "context_length={name} is more than the model's own: lower backend.engine_args.context_length",
    ),
    known(
        r"has no attribute '(in_chans)'",
        "the checkpoint's vision_config lacks {name}, which SGLang reads: add it to config.json, 3 for colours",
    ),
    known(
        r"Unrecognized model in|does not recognize this architecture|are not supported for now",
        "this sglang does not know the architecture: choose an env with a newer one, or backend=hf",
    ),
    *HUB,
    *COMPILERS,
    *KERNEL_FAILED,
    *TOO_OLD,
    known(
        NO_CUDA + r"|CUDA error: ",
        "CUDA does not work for sglang: compare the driver (nvidia-smi) with the CUDA version of its torch, check "
        "CUDA_VISIBLE_DEVICES, or take env=sglang_cpu",
    ),
    known(
        r"No module named '(sglang)\b",
        "the engine's environment has no {name}: take env=sglang or env=sglang_cpu (env=auto does it by itself)",
    ),
    known(
        r"No module named '([\w.]+)'", "the engine's environment lacks the package {name}: add it to its requirements"
    ),
    known(PORT_IN_USE, "the port was taken by another program in the moment before the start: start again"),
)


def translate(log_tail: str) -> Failure | None:
    """Return the first known failure, None where nothing is known."""
    return first(_FAILURES, log_tail)
