"""What a job's numbers depend on: the identity decides the text of an answer, the conditions its timing."""

from __future__ import annotations

import platform
from typing import Any

from backends.api import Backend, EngineSpec
from runner.base import machine, paths
from runner.config import Config
from runner.config.load import OPEN
from runner.config.request_form import request_form
from runner.planning import arrivals, backend_code, checkpoints, environments, logprobs
from runner.prompts import ocr

# Settings of an engine that change when an answer comes, and not what it says. All others belong to the identity.
TIMING_ONLY = ("batch_size", "device", "threads", "prefix_cache", "mm_cache", "api_key_variable", "stream")


def identity(config: Config, spec: EngineSpec, backend: Backend) -> dict[str, Any]:
    """Return what decides the text of an answer besides the request itself."""
    settings = {name: value for name, value in spec.args if name not in TIMING_ONLY}
    if adapter := settings.get("adapter"):
        settings["adapter"] = checkpoints.folder_digest(paths.resolve(adapter))
    # A program of the system, which no environment of Python names.
    in_image = environments.chosen(config).kind == "container"  # whose digest names it
    read_by = {"tesseract": ocr.tesseract()[0]} if config.model.family == "document_qa" and not in_image else {}
    # `backend.omit` and `.rename` stand in the settings as well; engines of ours are not started anew for a request.
    form = request_form(config).identity
    return (
        read_by
        | ({"request": form} if form else {})
        | {
            "backend": spec.backend,
            "backend_code": backend_code.digest(type(backend)),
            "model": spec.digest or spec.checkpoint,
            "quant": spec.quant,
            "weights": spec.weights,
            "settings": settings,
            "environment": machine.fingerprint(spec.env),
            "pixels": [config.model.min_pixels, config.model.max_pixels],
        }
    )


def conditions(config: Config, spec: EngineSpec) -> dict[str, str]:
    """Return what decides the timing of an answer and not its text."""
    remote = environments.chosen(config).remote
    here = {"host": platform.node(), "cpu": machine.cpu(), "gpu": machine.visible_gpus()}
    there = {"host": "remote", "cpu": "unknown", "gpu": (remote.gpu if remote else None) or "unknown"}
    return {
        **(there if remote else here),
        "engine": machine.fingerprint(spec.env),
        "args": " ".join(f"{name}={value}" for name, value in spec.args if name in TIMING_ONLY),
        "concurrency": f"up to {config.concurrency}" if config.backend.adapt_concurrency else str(config.concurrency),
        **({"over_time": f"{blocks} blocks"} if (blocks := config.repeats_over_time) > 1 else {}),
        **({"load": arrivals.described(config.load)} if config.load.arrivals in OPEN else {}),
        # Not part of the identity: the text is the same. But they take time, and answers without them lack them.
        **({"logprobs": "sent"} if logprobs.asked(config) else {}),
        **({"replicas": str(replicas)} if (replicas := config.backend.replicas) > 1 else {}),
    }
