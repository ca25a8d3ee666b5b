"""What the log of the HF engine means: known failures, each with what to do."""

from __future__ import annotations

import re

from backends.api import Failure
from backends.known_failures import (
    COMPILERS,
    GPU_OUT_OF_MEMORY,
    HUB,
    KERNEL_FAILED,
    NO_CUDA,
    OUT_OF_MAIN_MEMORY,
    TOO_OLD,
    first,
    known,
)

# The first that matches wins: from the special to the general.
_FAILURES = (
    known(
        GPU_OUT_OF_MEMORY,
        "out of GPU memory: lower backend.batch_size or max_pixels, take a smaller quant, or free the GPU (nvidia-smi "
        "shows who else uses it)",
        "out_of_memory",
    ),
    known(
        OUT_OF_MAIN_MEMORY,
        "out of main memory: lower backend.batch_size, take a smaller quant or model, or free memory",
        "out_of_memory",
    ),
    known(
        r"flash[_-]attn[^\n]*(?:not |isn't |hasn't |n't )(?:been )?(?:installed|seem)"
        r"|FlashAttention2? has been toggled on|flash_attention_2 needs the package|No module named 'flash_attn'",
        "flash-attn is not installed in this environment: install it there, or set backend.attention=sdpa",
    ),
    # transformers 5.23.0, integrations/finegrained_fp8.py:106 and :109, integrations/hub_kernels.py:57
    known(
        r"`kernels` is either not installed or uses an incompatible version",
        "this transformers computes FP8 only with another version of the package kernels: take env=hf_fp8 (env=auto "
        "does so for quant=fp8), whose versions fit each other",
    ),
    known(
        r"Failed to load the finegrained-fp8 kernel|kernels-community/finegrained-fp8",
        "the FP8 kernel, kernels-community/finegrained-fp8, could not be had: it is fetched from the hub when the "
        "model first answers, so let this machine reach the hub, or copy a cache that holds it and set HF_HOME",
    ),
    known(
        r"No module named '(?P<module>compressed_tensors|gptqmodel|optimum|bitsandbytes|accelerate|peft|autoawq|awq)"
        r"|needs the package (?P<needed>[\w-]+)"
        r"|(?:using|loading)[^\n]*?(?:requires|need)[^\n]*?`?(?P<library>compressed[-_]tensors|gptqmodel|optimum|bitsandbytes"
        r"|accelerate|peft|autoawq)`?",
        "this quantisation or setting needs the package {name}, which the engine's environment lacks: install it "
        "there, or choose an env whose requirements file names it",
    ),
    known(
        r"No module named '(?P<module>torch|transformers|safetensors|tokenizers|PIL|aiohttp)['.]",
        "the engine's environment has no {name}: install the extra (pip install 'vlm-runner[hf]'), a CPU build of "
        "torch where there is no GPU",
    ),
    known(
        r"No module named '(?P<module>[\w.]+)'",
        "the engine's environment lacks the package {name}, which this model needs: install it there",
    ),
    known(
        r"there is no such folder|has no config\.json",
        "the checkpoint is not there: check model.path, or the quant's entry under the model's checkpoints",
    ),
    *HUB,
    *COMPILERS,
    *KERNEL_FAILED,
    *TOO_OLD,
    known(
        r"does not recognize this architecture|Unrecognized configuration class|is not one that transformers serves"
        r"|Unrecognized model in|names no processor for model type",
        "this transformers version does not know the architecture: the model needs another version (env=...), its own "
        "code (model.trust_remote_code=true), or backend.family",
    ),
    known(
        r"trust_remote_code=True|contains custom code which must be executed",
        "the checkpoint brings its own Python code: read it, then set model.trust_remote_code=true",
    ),
    known(
        r"no chat template|chat_template is not set|does not have a chat template",
        "the checkpoint has no chat template, so its prompts can't be built: put chat_template.jinja into its folder",
    ),
    known(
        NO_CUDA + r"|CUDA error: |sees \d+ CUDA devices here",
        "CUDA does not work for the engine: compare the driver (nvidia-smi) with the CUDA version torch was built for, "
        "check CUDA_VISIBLE_DEVICES, or set backend.device=cpu",
    ),
    known(
        r"error: (?:argument|unrecognized arguments|the following arguments)[^\n]*",
        "the server refuses its command line: check backend.engine_args against `python -m backends.hf_server --help`",
    ),
)
# Our server's last word on what went wrong, which names the file or flag.
_OWN_WORDS = re.compile(r"backends\.hf_server: (?:cannot load the model|stopped serving): (?P<words>[^\n]+)")


def translate(log_tail: str) -> Failure | None:
    """Return the first known failure, with the server's own words behind it; None where nothing is known."""
    own = [match["words"] for match in _OWN_WORDS.finditer(log_tail)]
    for text in (*own[-1:], log_tail):  # its own words first: a traceback quotes much that is not the cause
        if failure := first(_FAILURES, text):
            message = f"{failure.message}. The server said: {own[-1]}" if own else failure.message
            return Failure(failure.kind, message)
    return Failure("start_failed", own[-1]) if own else None
