"""Whether the checkpoints of jobs that run on this machine are in the hub's cache, or can be fetched into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from backends.api import EngineSpec
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.planning import environments, hub

# Where an environment sets one of these, its engine has a cache or a hub of its own, of which nothing is known here.
_ITS_OWN = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "HF_ENDPOINT")


def is_here(config: Config) -> bool:
    """Return whether a job's engine reads files of this machine."""
    if config.backend.base_url or config.model.weights == "dummy":
        return False
    env = environments.chosen(config)
    return env.kind != "remote" and not (env.container is not None and env.kind == "container" and env.container.host)


def uses_our_cache(config: Config, spec: EngineSpec) -> bool:
    """Return whether an engine loads a hub's checkpoint from the cache of this machine."""
    if not spec.revision or not is_here(config):
        return False
    return not any(name in environments.chosen(config).variables for name in _ITS_OWN)


def to_fetch(config: Config, spec: EngineSpec) -> dict[str, int]:
    """Return the files that an engine lacks, with sizes in bytes. Raise Refused where the hub doesn't give them."""
    if not uses_our_cache(config, spec):
        return {}
    try:
        return hub.to_fetch(spec.checkpoint, spec.revision, spec.files)
    except hub.Denied as denied:
        where = f"model={config.model.name} quant={config.quant.name}"
        raise Refused(Problem(denied.denial.what, where, denied.denial.remedy)) from denied


def check(config: Config, spec: EngineSpec) -> None:
    """Refuse a checkpoint that can't be had, or for which there is no room."""
    room([(config, spec)])


def room(planned: Iterable[tuple[Config, EngineSpec]]) -> None:
    """Refuse checkpoints that together need more disk than is free, each counted once."""
    sizes = {
        (spec.checkpoint, spec.revision, spec.files): sum(to_fetch(config, spec).values())
        for config, spec in planned
        if config.reuse != "answers" and config.stage != "score"  # stored answers may be all that is wanted
    }
    wanted: dict[str, int] = {}
    for (name, *_), size in sizes.items():
        if size:
            wanted[name] = wanted.get(name, 0) + size
    if not wanted:
        return
    folder = hub.cache_folder()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    total = sum(wanted.values())
    if total > free:
        each = ", ".join(f"{name} {size / 1e9:.1f} GB" for name, size in wanted.items())
        what = f"{total / 1e9:.1f} GB are to be fetched ({each}), and {free / 1e9:.1f} GB are free"
        raise Refused(
            Problem(what, str(folder), "set HF_HOME to a larger disk, or make room: hf cache ls, hf cache rm")
        )
