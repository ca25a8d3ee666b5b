"""A LoRA adapter laid over a model: small trained matrices beside its large ones, as PEFT saves them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from backends.chat_server.errors import LoadError


def with_adapter(model: Any, path: str) -> Any:
    """Return the model with the adapter of a folder merged into its weights. Raises LoadError.

    Merged, an adapter costs nothing at run time; into quantised weights it can't be merged without loss, so there it
    stays beside them.
    """
    from peft import PeftModel

    if not (Path(path) / "adapter_config.json").is_file():
        raise LoadError(f"--adapter {path}: there is no adapter_config.json in it; name the folder that PEFT saved")
    try:
        with warnings.catch_warnings():
            # PEFT only warns of it, and leaves what it lacks at zero: the model would answer as if it had no adapter.
            warnings.filterwarnings("error", message=".*missing adapter keys")
            model = PeftModel.from_pretrained(model, path)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, UserWarning) as error:
        words = " ".join(str(error).split())[:400]
        raise LoadError(f"--adapter {path}: it does not fit the model: {words}") from error
    if getattr(model.config, "quantization_config", None) is None:
        return model.merge_and_unload()
    return model
