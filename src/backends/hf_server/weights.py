"""Loads the weights of a checkpoint in their dtype and quantisation onto their device."""

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
    """Return the model on its device and in evaluation mode, with the adapter of the settings if there is one."""
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
    # A device map loads weights directly to the GPU, but needs accelerate. Otherwise they pass through the CPU.
    mapped = (device.type != "cpu" and _installed("accelerate")) or settings.quantization != "none"
    if mapped:
        options["device_map"] = {"": str(device)}
    try:
        model, report = model_class.from_pretrained(settings.model, **options)
    except Exception as error:  # safetensors, accelerate and quantisers have their own exceptions
        raise LoadError(f"{settings.model}: the weights can't be loaded: {error}") from error
    if missing := sorted(report.get("missing_keys", ())):
        raise LoadError(
            f"{settings.model}: the checkpoint lacks {len(missing)} weights of the architecture in its config.json "
            f"({', '.join(missing[:3])}, ...); they would be random. Is it complete, or is --config-override wrong?"
        )
    return model if mapped else model.to(device)


def _find_unquantised_parts(config: Any) -> None:
    """Make transformers find the unquantised parts of a checkpoint at any depth.

    AWQ checkpoints of Qwen2-VL and Qwen2.5-VL name `visual`, which transformers 5 calls `model.visual`. It compares
    names from their start, so it would quantise the vision tower and not find the weights for that.
    """
    quantised = getattr(config, "quantization_config", None)
    if isinstance(quantised, dict) and (parts := quantised.get("modules_to_not_convert")):
        quantised["modules_to_not_convert"] = [*parts, *(rf"(?:.*\.)?{re.escape(part)}" for part in parts)]


def _attention(settings: Settings, config: Any, model_class: Any) -> str:
    """Return the attention to load with. The default, sdpa, becomes eager for an architecture without sdpa.

    The statistics report which attention is in use.
    """
    if settings.attention != "sdpa":
        return settings.attention
    try:
        architecture = model_class._model_mapping[type(config)]
    except (AttributeError, KeyError):  # remote code; a model with its own `query` selects its kernels itself
        return "eager" if settings.family == "own_query" else settings.attention
    return "sdpa" if getattr(architecture, "_supports_sdpa", True) else "eager"


def _bitsandbytes(settings: Settings) -> Any:
    from transformers import BitsAndBytesConfig

    if settings.quantization == "bnb_int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if settings.dtype == "auto" else getattr(torch, settings.dtype)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def check_packages(settings: Settings) -> None:
    """Raise LoadError for missing packages and contradicting flags before time is spent on loading."""
    needed = []
    if settings.adapter is not None:
        needed.append(("peft", "--adapter"))
        if settings.weights == "dummy":
            raise LoadError("--adapter has no meaning with --weights dummy; leave one of them out")
    if settings.quantization != "none":
        needed += [("bitsandbytes", f"--quantization {settings.quantization}"), ("accelerate", "--quantization")]
        if settings.weights == "dummy":
            raise LoadError("--weights dummy can't be quantised with bitsandbytes; leave --quantization out")
    if settings.attention == "flash_attention_2":
        needed.append(("flash_attn", "--attention flash_attention_2"))
    for package, flag in needed:
        if not _installed(package):
            raise LoadError(f"{flag} needs the package {package}, which this environment lacks: install it there")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
