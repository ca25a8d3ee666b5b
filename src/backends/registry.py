"""Backends by name: the built-in ones, and those that other packages offer as entry points.

A third party adds one with two lines of its pyproject.toml and no change here:

    [project.entry-points."runner.backends"]
    theirs = "their_package.backend:TheirBackend"
"""

from __future__ import annotations

from backends.api import Backend
from registries import Registry

GROUP = "runner.backends"
BUILT_IN = {
    "hf": "backends.hf:HfBackend",
    "ocr": "backends.ocr:OcrBackend",
    "litellm": "backends.litellm:LiteLlmBackend",
    "llama_cpp": "backends.llama_cpp:LlamaCppBackend",
    "openai": "backends.openai:OpenAiBackend",
    "sglang": "backends.sglang:SglangBackend",
    "vllm": "backends.vllm:VllmBackend",
}
REGISTRY = Registry("backend", GROUP, BUILT_IN)


def names() -> tuple[str, ...]:
    """Return the names of all installed backends, sorted."""
    return tuple(sorted(REGISTRY.names()))


def find(name: str) -> Backend:
    """Return the backend called `name`. Raise ValueError where there is none, or several, or it can't be loaded."""
    made = REGISTRY.load(name)
    try:
        backend = made()
    except Exception as error:  # anything may go wrong in somebody else's package, and names the one to blame
        why = f"{type(error).__name__}: {error}"
        raise ValueError(f"backend {name!r} can't be made by {REGISTRY.find(name)}: {why}") from error
    if not isinstance(backend, Backend):
        what = f"backend {name!r}: {REGISTRY.find(name)} lacks methods of backends.api.Backend"
        raise ValueError(what)  # noqa: TRY004
    return backend
