"""Builds the true architecture with random weights, to measure speed and memory without a download."""

from __future__ import annotations

from typing import Any

import torch

from backends.chat_server.errors import LoadError
from backends.hf_server.configuration import dtype_option
from backends.hf_server.settings import Settings

# Small enough for activations to stay finite through many layers, also in half precision.
STANDARD_DEVIATION = 0.02


def dummy_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    """Build the model from its configuration, directly in its dtype and on its device. Raise LoadError."""
    if getattr(config, "quantization_config", None) is not None:
        raise LoadError(
            f"{settings.model}: --weights dummy builds dense weights, and this configuration asks for quantised ones; "
            "their memory would be wrong. Use the unquantised model's configuration"
        )
    dtype = checkpoint_dtype(config) if settings.dtype == "auto" else getattr(torch, settings.dtype)
    torch.manual_seed(0)
    try:
        with torch.device(device), _no_initialisation():
            model = model_class.from_config(
                config,
                attn_implementation=settings.attention,
                trust_remote_code=settings.trust_remote_code,
                **dtype_option(dtype),
            )
    except (ValueError, ImportError, KeyError) as error:
        raise LoadError(f"{settings.model}: the architecture can't be built: {error}") from error
    model.tie_weights()
    draw_weights(model)
    _load_generation_config(settings, model)
    return model.eval()


def checkpoint_dtype(config: Any) -> torch.dtype:
    """Return the dtype in a configuration, else the dtype in its text part, else bfloat16."""
    for owner in (config, config.get_text_config()):
        for name in ("dtype", "torch_dtype"):
            value = getattr(owner, name, None)
            value = getattr(torch, value, None) if isinstance(value, str) else value
            if isinstance(value, torch.dtype):
                return value
    return torch.bfloat16


def draw_weights(model: Any) -> None:
    """Fill every parameter in place: matrices from a normal distribution, norms with 1, biases with 0."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, STANDARD_DEVIATION)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.fill_(1.0)


def _no_initialisation() -> Any:
    """Return a context in which layers don't initialise their weights, because `draw_weights` fills them anyway."""
    try:
        from transformers.initialization import no_init_weights
    except ImportError:  # transformers 4
        from transformers.modeling_utils import no_init_weights
    return no_init_weights()


def _load_generation_config(settings: Settings, model: Any) -> None:
    from transformers import GenerationConfig

    try:
        model.generation_config = GenerationConfig.from_pretrained(
            settings.model, revision=settings.revision, local_files_only=settings.is_folder
        )
    except OSError:
        return  # there is only a config.json, whose end-of-turn tokens the model already uses
