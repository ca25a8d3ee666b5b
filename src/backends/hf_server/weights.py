"""The weights of a checkpoint, in their number format and quantisation, on their device."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import torch

from backends.chat_server.errors import LoadError
from backends.hf_server.adapter import with_adapter
from backends.hf_server.configuration import dtype_option
from backends.hf_server.dummy import dummy_model
from backends.hf_server.settings import Settings


def build_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    """Return the model on its device, in evaluation mode, with the adapter where one is asked for."""
    if settings.weights == "dummy":
        return dummy_model(settings, config, model_class, device)
    model = _real_model(settings, config, model_class, device)
    if settings.adapter is not None:
        model = with_adapter(model, settings.adapter)
    return model.eval()


def _real_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    options: dict[str, Any] = {
        **dtype_option(settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)),
        "config": config,
        "attn_implementation": _attention(settings, config, model_class),
        "trust_remote_code": settings.trust_remote_code,
        "output_loading_info": True,
        "local_files_only": settings.is_folder,
    }
    if settings.revision is not None:
        options["revision"] = settings.revision
    _find_unquantised_parts(config)
    if settings.quantization != "none":
        options["quantization_config"] = _bitsandbytes(settings)
    # With a device map the weights go straight to the GPU; it takes accelerate, without which they pass the CPU.
    mapped = (device.type != "cpu" and _installed("accelerate")) or settings.quantization != "none"
    if mapped:
        options["device_map"] = {"": str(device)}
    try:
        model, found = model_class.from_pretrained(settings.model, **options)
    except Exception as error:  # safetensors, accelerate and quantisers have exceptions of their own
        raise LoadError(f"{settings.model}: the weights can't be loaded: {error}") from error
    if missing := sorted(found.get("missing_keys", ())):
        raise LoadError(
            f"{settings.model}: the checkpoint lacks {len(missing)} weights of the architecture in its config.json "
            f"({', '.join(missing[:3])}, ...); they would be random. Is it complete, or is --config-override wrong?"
        )
    return model if mapped else model.to(device)


def _find_unquantised_parts(config: Any) -> None:
    """Let the parts that a checkpoint left unquantised be found at any depth.

    AWQ checkpoints of Qwen2-VL and Qwen2.5-VL name `visual`. transformers 5 calls it `model.visual` and compares names
    from their start: it would quantise the vision tower, and find no weights for that.
    """
    quantised = getattr(config, "quantization_config", None)
    if isinstance(quantised, dict) and (parts := quantised.get("modules_to_not_convert")):
        quantised["modules_to_not_convert"] = [*parts, *(rf"(?:.*\.)?{re.escape(part)}" for part in parts)]


def _attention(settings: Settings, config: Any, model_class: Any) -> str:
    """Return the attention to load with: sdpa, the default, becomes eager for an architecture that has no other.

    What is in use is told by the statistics.
    """
    if settings.attention != "sdpa":
        return settings.attention
    try:
        architecture = model_class._model_mapping[type(config)]
    except (AttributeError, KeyError):  # code of the checkpoint's own; that with a `query` chooses its kernels itself
        return "eager" if settings.family == "own_query" else settings.attention
    return "sdpa" if getattr(architecture, "_supports_sdpa", True) else "eager"


def _bitsandbytes(settings: Settings) -> Any:
    from transformers import BitsAndBytesConfig

    if settings.quantization == "bnb_int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if settings.dtype == "auto" else getattr(torch, settings.dtype)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def check_packages(settings: Settings) -> None:
    """Refuse what can't work here before time is spent on loading."""
    wanted = []
    if settings.adapter is not None:
        wanted.append(("peft", "--adapter"))
        if settings.weights == "dummy":
            raise LoadError("--adapter has no meaning with --weights dummy; leave one of them out")
    if settings.quantization != "none":
        wanted += [("bitsandbytes", f"--quantization {settings.quantization}"), ("accelerate", "--quantization")]
        if settings.weights == "dummy":
            raise LoadError("--weights dummy can't be quantised with bitsandbytes; leave --quantization out")
    if settings.attention == "flash_attention_2":
        wanted.append(("flash_attn", "--attention flash_attention_2"))
    for package, flag in wanted:
        if not _installed(package):
            raise LoadError(f"{flag} needs the package {package}, which this environment lacks: install it there")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
