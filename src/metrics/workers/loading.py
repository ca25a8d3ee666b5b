"""Loading of models from a folder or the hub; what can't be had is said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transformers

from metrics.workers.api import Unavailable


def load(factory: Any, options: Mapping[str, Any]) -> Any:
    """Return `factory.from_pretrained(model)` or raise `Unavailable` with what went wrong."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        revision = {"revision": options["revision"]} if options.get("revision") else {}
        return factory.from_pretrained(options["model"], **revision)
    except (OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"model {options['model']!r} can't be had: {first[:300]}") from error


def device() -> str:
    """Return where models run: a GPU where there is one that torch can use."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def versions(model: Any) -> str:
    """Return what else decides the numbers: libraries, number format and device."""
    return f"torch:{torch.__version__}|transformers:{transformers.__version__}|{model.dtype}|{model.device.type}"
