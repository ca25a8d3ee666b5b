"""Loads models from a folder or the hub; a failure becomes a one-sentence reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transformers

from metrics.workers.api import Unavailable


def load(factory: Any, options: Mapping[str, Any]) -> Any:
    """Return `factory.from_pretrained(model)`. Raise `Unavailable` with the first line of the error."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        revision = {"revision": options["revision"]} if options.get("revision") else {}
        return factory.from_pretrained(options["model"], **revision)
    except (OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"model {options['model']!r} can't be had: {first[:300]}") from error


def device() -> str:
    """Return the device for models: a GPU if torch can use one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def versions(model: Any) -> str:
    """Return the versions of libraries, the number format and the device, which also decide the numbers."""
    return f"torch:{torch.__version__}|transformers:{transformers.__version__}|{model.dtype}|{model.device.type}"
