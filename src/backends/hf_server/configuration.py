"""Loads the model's configuration and applies `--config-override` to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.chat_server.errors import LoadError
from backends.hf_server.settings import Settings

# Lists with one entry for each layer, which transformers derives if they are missing.
PER_LAYER = ("layer_types", "mlp_layer_types")


def load_config(settings: Settings) -> Any:
    """Return the transformers configuration of the model. Raise LoadError."""
    from transformers import AutoConfig

    name = settings.model
    if not settings.is_folder and (name.startswith(("/", ".", "~")) or name.count("/") != 1):
        raise LoadError(f"--model {name}: there is no such folder, and a hub name has the form owner/name")
    if settings.is_folder and not (Path(name) / "config.json").is_file():
        raise LoadError(f"--model {name}: the folder has no config.json, so it isn't a checkpoint of transformers")
    options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code, "local_files_only": settings.is_folder}
    if settings.revision is not None and not settings.is_folder:
        options["revision"] = settings.revision
    try:
        config = AutoConfig.from_pretrained(name, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise LoadError(f"--model {name}: its configuration can't be read: {error}{_advice(settings)}") from error
    return _overridden(config, settings.config_override) if settings.config_override else config


def model_type(config: Any) -> str:
    """Return the model type of a configuration.

    It is read from the class, because some configuration objects of transformers 4 return the type of their text part.
    """
    return getattr(type(config), "model_type", "") or str(config.model_type)


def dtype_option(dtype: Any) -> dict[str, Any]:
    """Return the keyword argument for the weights' dtype: `dtype` since transformers 4.56, `torch_dtype` before."""
    import transformers

    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return {"dtype" if (major, minor) >= (4, 56) else "torch_dtype": dtype}


def _advice(settings: Settings) -> str:
    if settings.is_folder:
        return ""
    return (
        " | The hub is neither reached nor is the model in the cache: set HF_HOME to a cache that has it, or give a "
        "folder as the model, or use --weights dummy with a folder that holds config.json"
    )


def _overridden(config: Any, override: Mapping[str, Any]) -> Any:
    values = config.to_dict()
    _overlay(values, override, "")
    try:
        return type(config).from_dict(values)
    except (TypeError, ValueError, KeyError) as error:
        raise LoadError(f"--config-override: the configuration that results is invalid: {error}") from error


def _overlay(values: dict[str, Any], override: Mapping[str, Any], where: str) -> None:
    for key, value in override.items():
        path = f"{where}{key}"
        if key not in values:
            nested = sorted(name for name, below in values.items() if isinstance(below, dict) and key in below)
            hint = f"; did you mean {' or '.join(f'{where}{name}.{key}' for name in nested)}?" if nested else ""
            raise LoadError(f"--config-override: the configuration has no {path}{hint}")
        if isinstance(values[key], dict) and isinstance(value, Mapping):
            _overlay(values[key], value, f"{path}.")
        else:
            values[key] = value
    if "num_hidden_layers" in override:
        for name in PER_LAYER:
            if name not in override and values.get(name) is not None:
                values[name] = None
