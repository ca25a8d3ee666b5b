"""How a config, its checkpoint and its environment become an `EngineSpec`: which model is served how."""

from __future__ import annotations

import json
from typing import Any

from backends import registry as backend_registry
from backends.api import Backend, EngineSpec
from backends.llama_cpp import LlamaCppBackend
from backends.ocr import OcrBackend
from runner.base import paths
from runner.base.errors import Problem, Refused, attempt
from runner.config import Config
from runner.config.request_form import request_form
from runner.planning import checkpoints, environments, gguf, model_checks, ocr_program, pixel_limits, quant_check
from runner.planning.checkpoints import Checkpoint


def served(config: Config) -> tuple[EngineSpec, Backend]:
    """Check the part of a config that says which model is served how. Raise Refused with everything that is wrong."""
    problems: list[Problem] = []
    backend = attempt(problems, lambda: _backend(config))
    brings = isinstance(backend, OcrBackend)  # a program, and no checkpoint
    checkpoint = Checkpoint("", "", "") if brings else attempt(problems, lambda: checkpoints.find(config))
    env = attempt(problems, lambda: environments.name(config))
    if not brings:
        attempt(problems, lambda: quant_check.refuse(config, checkpoint))
        attempt(problems, lambda: pixel_limits.refuse(config, checkpoint))
    attempt(problems, lambda: model_checks.settings(config))
    attempt(problems, lambda: request_form(config))
    if problems:
        raise Refused(problems)
    _oom_policy(config, backend)
    spec = _spec(config, checkpoint, env, backend)
    _launchable(backend, spec)
    if isinstance(backend, LlamaCppBackend):
        return gguf.with_program(config, spec), backend
    return (ocr_program.named(config, spec, backend) if isinstance(backend, OcrBackend) else spec), backend


def _backend(config: Config) -> Backend:
    try:
        return backend_registry.find(config.backend.name)
    except ValueError as error:
        raise Refused(Problem(str(error), "backend.name")) from error


def _oom_policy(config: Config, server: Backend) -> None:
    """Refuse to lower pixels where an engine can't be told them with each request."""
    if config.backend.oom_policy != "reduce_pixels":
        return
    fixed = getattr(server, "pixels_at_start", False)
    if fixed or (config.backend.base_url and config.backend.dialect != "local"):
        what = f"backend={config.backend.name} can't be told a limit on pixels with each request"
        raise Refused(Problem(what, "backend.oom_policy", "fail, or lower model.max_pixels for the whole job"))


def _spec(config: Config, checkpoint: Checkpoint, env: str, server: Backend) -> EngineSpec:
    settings = _settings(config, server)
    settings |= {f"engine_args.{name}": value for name, value in _engine_args(config).items()}
    return EngineSpec(
        backend=config.backend.name,
        checkpoint=checkpoint.location,
        revision=checkpoint.revision,
        digest=checkpoint.digest,
        files=checkpoint.files,
        quant=config.quant.name,
        env=env,
        weights=config.model.weights,
        args=tuple(sorted((name, _text(value)) for name, value in settings.items() if value is not None)),
        largest_pixels=config.model.max_pixels,
    )


def _settings(config: Config, server: Backend) -> dict[str, Any]:
    """Return the settings that the runner knows by name. None: it is left to the engine."""
    model, backend = config.model, config.backend
    fixed = getattr(server, "pixels_at_start", False)  # it can't be told with each request
    return {
        "dtype": model_checks.dtype(config),
        "attention": backend.attention,
        "device": backend.device,
        "batch_size": backend.batch_size,
        "threads": backend.threads or model.threads,
        "quantization": config.quant.quantization,
        "family": model.family,
        "adapter": str(paths.resolve(model.adapter)) if model.adapter else None,
        "adapter_rank": model_checks.adapter_rank(model.adapter, server) if model.adapter else None,
        "trust_remote_code": model.trust_remote_code or None,
        "config_override": model.config_override or None,
        "prefix_cache": backend.prefix_cache or None,
        "mm_cache": backend.mm_cache or None,
        "base_url": backend.base_url,
        "api_key_variable": backend.api_key_variable,
        "dialect": backend.dialect,
        "headers": backend.headers or None,
        "omit": list(backend.omit) or None,
        "rename": dict(backend.rename) or None,
        "adapt": backend.adapt or None,
        "stream": None if backend.stream else False,
        "min_pixels": model.min_pixels if fixed else None,
        "max_pixels": model.max_pixels if fixed else None,
    }


def _engine_args(config: Config) -> dict[str, Any]:
    """Return the engine's own arguments: the nearer to the command line, the stronger."""
    model, backend = config.model, config.backend
    engine_args = (
        environments.chosen(config).engine_args | model.engine_args.get(backend.name, {}) | backend.engine_args
    )
    if model_checks.shows_videos(config) and backend.name == "vllm":
        # conf/backend/vllm.yaml reserves nothing for videos, since a job without them would pay for it.
        limits = dict(engine_args.get("limit_mm_per_prompt") or {})
        engine_args["limit_mm_per_prompt"] = limits | {"video": limits.get("video") or 1}
    return engine_args


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _launchable(backend: Backend, spec: EngineSpec) -> None:
    """Let the backend refuse what it can't serve; the port doesn't matter here."""
    try:
        backend.launch(spec, 1)
    except ValueError as error:
        raise Refused(Problem(str(error), f"backend={backend.name}")) from error
