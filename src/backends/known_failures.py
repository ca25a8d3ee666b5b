"""What the log of an engine means: patterns of known failures, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from backends.api import Failure, FailureKind, KnownFailure


def known(pattern: str, message: str, kind: FailureKind = "start_failed") -> KnownFailure:
    """Return a known failure; case doesn't matter."""
    return KnownFailure(re.compile(pattern, re.IGNORECASE), message, kind)


def first(failures: Iterable[KnownFailure], text: str) -> Failure | None:
    """Return the first of `failures` that stands in `text`: list them from the special to the general."""
    for one in failures:
        if match := one.pattern.search(text):
            name = next((value for value in match.groups() if value), "")
            return Failure(one.kind, one.message.replace("{name}", name))
    return None


# Every engine that loads through transformers and the hub says these.
HUB = (
    known(
        r"gated repo|401 Client Error|Access to model [^\n]* is restricted|403 Client Error",
        "the hub refuses this model: accept its licence there and set HF_TOKEN, or give a local copy with model.path",
    ),
    known(
        r"couldn't connect to '?https?://|LocalEntryNotFoundError|offline mode|OfflineModeIsEnabled"
        r"|Max retries exceeded|Name or service not known|Temporary failure in name resolution"
        r"|cannot find the requested files in the (?:local )?(?:disk )?cache",
        "the model is not in the hub's cache and the hub can't be reached: point HF_HOME at a cache that holds it, "
        "give a local copy with model.path=..., or measure without weights with model.weights=dummy",
    ),
    known(
        r"is not a (?:local folder and is not a )?valid model identifier|RepositoryNotFoundError|RevisionNotFoundError",
        "the hub has no such model or revision: check the checkpoint's name and model.revision",
    ),
)

GPU_OUT_OF_MEMORY = r"CUDA out of memory|torch\.OutOfMemoryError|OutOfMemoryError: |CUDNN_STATUS_ALLOC_FAILED"
OUT_OF_MAIN_MEMORY = r"DefaultCPUAllocator: can't allocate memory|\bMemoryError\b|Cannot allocate memory"
NO_CUDA = (
    r"no kernel image is available|CUDA driver version is insufficient|NVIDIA driver on your system is too old"
    r"|Found no NVIDIA driver|No CUDA GPUs are available|CUDA unknown error|libcuda\.so"
    r"|Torch not compiled with CUDA enabled"
)
PORT_IN_USE = r"address already in use|EADDRINUSE|errno 98\b|port is already allocated|port \d+ is (?:already )?in use"
