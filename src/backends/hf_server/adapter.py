"""Applies a LoRA adapter, as saved by PEFT, to a model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from backends.chat_server.errors import LoadError


def with_adapter(model: Any, path: str) -> Any:
    """Return the model with the adapter of a folder merged into its weights. Raise LoadError.

    A merged adapter costs nothing at run time. It can't be merged into quantised weights without loss, so it stays
    separate there.
    """
    from peft import PeftModel

    if not (Path(path) / "adapter_config.json").is_file():
        raise LoadError(f"--adapter {path}: there is no adapter_config.json in it; name the folder that PEFT saved")
    try:
        with warnings.catch_warnings():
            # PEFT only warns of missing weights and sets them to zero: the model would answer as without an adapter.
            warnings.filterwarnings("error", message=".*missing adapter keys")
            model = PeftModel.from_pretrained(model, path)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, UserWarning) as error:
        words = " ".join(str(error).split())[:400]
        raise LoadError(f"--adapter {path}: it does not fit the model: {words}") from error
    if getattr(model.config, "quantization_config", None) is None:
        return model.merge_and_unload()
    return model
