"""What the log of vLLM means: known failures, each with what to do."""

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
        "vllm refuses its command line ({name}): compare backend.engine_args with `vllm serve --help=all` of this "
        "environment's version",
    ),
    known(
        r"User-specified max_model_len \((\d+)\) is greater than",
        "max_model_len={name} is more than the model's own context: lower backend.engine_args.max_model_len",
    ),
    known(
        r"To serve at least one request with the model(?:s)?'s max seq len \((\d+)\)",
        "the KV cache has no room for one request of max_model_len={name}: lower backend.engine_args.max_model_len, or "
        "raise gpu_memory_utilization (on a CPU env.variables.VLLM_CPU_KVCACHE_SPACE)",
        "out_of_memory",
    ),
    known(
        r"No available memory for the cache blocks",
        "weights and activations leave no memory for the KV cache: raise backend.engine_args.gpu_memory_utilization, "
        "lower max_num_batched_tokens, or take a smaller quant",
        "out_of_memory",
    ),
    known(
        r"Free memory on device [^\n]* is less than|Available memory on node [^\n]* is less than",
        "somebody else uses the memory that vllm is to reserve: free it (nvidia-smi shows who), or lower "
        "backend.engine_args.gpu_memory_utilization",
        "out_of_memory",
    ),
    known(
        GPU_OUT_OF_MEMORY,
        "out of GPU memory: lower backend.engine_args.max_num_batched_tokens or max_pixels, take a smaller quant, or "
        "tensor_parallel_size=2 and more",
        "out_of_memory",
    ),
    known(
        OUT_OF_MAIN_MEMORY,
        "out of main memory: lower env.variables.VLLM_CPU_KVCACHE_SPACE, take a smaller quant or model, or free memory",
        "out_of_memory",
    ),
    known(
        r"Unknown quantization method: (\S+?)\.?\s|(\S+) quantization is currently not supported"
        r"|Quantization (?:scheme|method)[^\n]* is not supported|quantization method (\S+) is not supported"
        r"|Quantization method specified in the model config \((\S+)\) does not match"
        r"|No compressed-tensors compatible scheme",
        "vllm can't run this quantisation here {name}: compare the checkpoint's quantization_config with what this "
        "device supports, or choose another quant",
    ),
    known(
        r"Unrecognized model in|does not recognize this architecture|are not supported for now|no vLLM implementation",
        "this vllm does not know the architecture: choose an env with a newer vllm, or backend=hf",
    ),
    known(
        r"trust_remote_code=True|contains custom code which must be executed",
        "the checkpoint brings its own Python code: read it, then set model.trust_remote_code=true and say why",
    ),
    *HUB,
    *COMPILERS,
    *KERNEL_FAILED,
    *TOO_OLD,
    known(
        NO_CUDA + r"|Failed to infer device type|CUDA error: ",
        "CUDA does not work for vllm: compare the driver (nvidia-smi) with the CUDA version of env=vllm's torch, check "
        "CUDA_VISIBLE_DEVICES, or take env=vllm_cpu",
    ),
    known(
        r"operator torchvision::nms does not exist|Could not load this library: [^\n]*torio|libtorchcodec",
        "torchvision, torchaudio or torchcodec of this environment are built for CUDA and its torch is not: build the "
        "environment through env=vllm_cpu, which removes or replaces them",
    ),
    known(
        r"No module named '?(vllm)\b|No package metadata was found for (vllm)",
        "the engine's environment has no {name}: take env=vllm or env=vllm_cpu (env=auto does it by itself)",
    ),
    known(
        r"No module named '([\w.]+)'", "the engine's environment lacks the package {name}: add it to its requirements"
    ),
    known(PORT_IN_USE, "the port was taken by another program in the moment before the start: start again"),
)


def translate(log_tail: str) -> Failure | None:
    """Return the first known failure, None where nothing is known."""
    return first(_FAILURES, log_tail)
