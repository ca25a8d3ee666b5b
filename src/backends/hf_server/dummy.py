"""The true architecture with random weights: speed and memory without a download. Answers mean nothing."""

from __future__ import annotations

from typing import Any

import torch

from backends.chat_server.errors import LoadError
from backends.hf_server.configuration import dtype_option
from backends.hf_server.settings import Settings

# Small enough that activations stay finite through many layers, in half precision too.
STANDARD_DEVIATION = 0.02


def dummy_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    """Build the model from its configuration, in its dtype and on its device from the start. Raises LoadError."""
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
    """Return the dtype that a configuration states, its text part's where only that states one; else bfloat16."""
    for owner in (config, config.get_text_config()):
        for name in ("dtype", "torch_dtype"):
            value = getattr(owner, name, None)
            value = getattr(torch, value, None) if isinstance(value, str) else value
            if isinstance(value, torch.dtype):
                return value
    return torch.bfloat16


def draw_weights(model: Any) -> None:
    """Fill every parameter in place: matrices from a normal distribution, norms with one, biases with zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, STANDARD_DEVIATION)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.fill_(1.0)


def _no_initialisation() -> Any:
    """Return the context in which layers leave their weights unset: they are drawn once, here, in one pass."""
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
        return  # a bare config.json: what it says about the end of an answer is in force already
