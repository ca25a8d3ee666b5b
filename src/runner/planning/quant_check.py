"""Refuses a quantisation that a backend can't run, by the table conf/quant_support.yaml, before anything is downloaded.

What the config and the requirements of an environment tell is checked anywhere; what this machine's GPUs and this
interpreter tell, where the job would run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from runner.base import machine, paths
from runner.base.errors import Problem, Refused
from runner.config import Config, EnvConfig, quant_support
from runner.config.quant_support import Cell
from runner.planning import checkpoints, cuda, environments, model_checks
from runner.planning.checkpoints import Checkpoint

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:[=<>!~;].*)?$")
_BFLOAT16 = 8.0  # the compute capability from which on GPUs compute in bfloat16; torch emulates it below
# quant_method of a checkpoint's config.json -> our word, where its bits don't decide.
_METHODS = {"awq": "awq", "fp8": "fp8"}


def refuse(config: Config, checkpoint: Checkpoint | None) -> None:
    """Raise Refused for what the table says can't work on any machine. `checkpoint` is None where it was not found."""
    if config.backend.base_url:
        return
    content = checkpoints.read_json(checkpoint.location, checkpoint.revision, "config.json") if checkpoint else {}
    quant, cell = _cell(config, content)
    if cell is None:
        return
    where = f"quant={quant} on backend={config.backend.name}"
    key = f"model={config.model.name} quant={config.quant.name}"
    if cell.refused:
        raise Refused(Problem(f"{where}: {cell.refused}", key, cell.instead or "another quant or backend"))
    if cell.only == "text" and config.model.images and not _can_all_the_same(cell, content):
        raise Refused(Problem(f"{where}: {cell.why}", key, cell.instead or "another quant or backend"))
    env = environments.chosen(config)
    if env.kind == "uv":
        _refuse_lacking(config, cell.packages, _required(env), f"env={env.name}")


def refuse_here(config: Config) -> None:
    """Raise Refused for what this machine's GPUs, or this interpreter where the engine runs in it, can't do."""
    name = config.backend.name
    cell = quant_support.load().find(config.quant.name, name)
    if cell is None:
        return
    env = environments.chosen(config)
    gpus = machine.compute_capabilities() if cuda.is_meant_for_a_gpu(config, env) else ()
    _refuse_gpus(config, cell, gpus)
    best = max(gpus, default=None)
    needed = cell.packages_on(best)
    if env.kind == "uv":
        _refuse_lacking(config, needed, _required(env), f"env={env.name}")
    elif env.kind == "current":
        _refuse_lacking(
            config,
            needed,
            {_plain(requirement) for requirement in needed if _installed(requirement)},
            "this environment",
        )


def _refuse_gpus(config: Config, cell: Cell, gpus: tuple[float, ...]) -> None:
    """Refuse GPUs that are all too old or too new, a CPU that can't, and float16 where the GPUs leave nothing else."""
    name, where = config.backend.name, f"quant={config.quant.name}"
    instead = cell.instead or "another quant, backend or GPU"
    if not gpus and cell.cpu == "no":
        raise Refused(Problem(f"{where} on backend={name} does not run on a CPU", where, instead))
    if not gpus:
        return
    here = ", ".join(map(str, dict.fromkeys(gpus)))
    if not any(map(cell.runs_on, gpus)):
        what = f"{where} on backend={name} needs compute capability: {cell.gpus}; here: {here}"
        raise Refused(Problem(what, where, instead))
    why = config.model.no_float16.get(name)
    if why is not None and name != "hf" and max(gpus) < _BFLOAT16 and model_checks.dtype(config) != "float32":
        what = f"below compute capability {_BFLOAT16} backend={name} computes in float16, and the GPUs here have {here}"
        remedy = "quant=fp32, backend=vllm, or another GPU"
        raise Refused(Problem(f"{what}: {why}", f"model={config.model.name}", remedy))


def _cell(config: Config, content: Mapping[str, Any]) -> tuple[str, Cell | None]:
    """Return a job's quantisation and its cell. What `native` is, a checkpoint's config.json may say."""
    quant = config.quant.name
    own = content.get("quantization_config")
    if quant == "native" and isinstance(own, dict):
        method = str(own.get("quant_method", "")).lower()
        quant = f"gptq_int{own.get('bits')}" if method == "gptq" else _METHODS.get(method, quant)
    return quant, quant_support.load().find(quant, config.backend.name)


def _can_all_the_same(cell: Cell, content: Mapping[str, Any]) -> bool:
    """Say whether a checkpoint, as far as its config.json is known, is one of those to which `only` doesn't apply."""
    value: Any = content
    for name in cell.unless.split(".") if cell.unless else ():
        value = value.get(name) if isinstance(value, dict) else None
    return content.get("model_type") in cell.but or bool(cell.unless and value)


def _required(env: EnvConfig) -> set[str] | None:
    """Return the packages that an environment's requirements name; None where a line says more than names tell."""
    from backends.process.uv_environment import with_includes

    named = set()
    try:
        lines = [
            line for file in with_includes(paths.resolve(env.requirements or "")) for line in _lines(file.read_text())
        ]
    except OSError:
        return None  # said where the environment is looked up
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            return None
        named.add(_plain(match[1]))
    return named


def _lines(text: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("-r ", "-c ", "--requirement", "--constraint"))]


def _plain(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _refuse_lacking(config: Config, needed: tuple[str, ...], there: set[str] | None, where: str) -> None:
    lacking = [] if there is None else [name for name in needed if _plain(name) not in there]
    if not lacking:
        return
    what = f"quant={config.quant.name} on backend={config.backend.name} needs {', '.join(lacking)}, which {where} lacks"
    made_for_it = config.quant.env.get(config.backend.name)
    remedy = f"env={made_for_it}" if made_for_it else f"an env whose requirements name {lacking[0]}"
    raise Refused(Problem(what, "env", remedy))
