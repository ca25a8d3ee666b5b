"""Finds a model's checkpoint for a quantisation and names its content, so that a changed file is a changed model."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.planning import hub

log = logging.getLogger(__name__)
PROVIDERS = "litellm"  # a backend whose models run elsewhere, though its proxy is started here
LARGE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an engine loads: a folder or hub name, the revision that was asked for, and a name of its content."""

    location: str
    revision: str
    digest: str
    files: tuple[str, ...] = ()  # those that are loaded, where not all of them are


def find(config: Config) -> Checkpoint:
    """Return the checkpoint of one job. Raise Refused where there is none, saying what would be valid."""
    if config.backend.base_url or config.backend.name == PROVIDERS:
        return _endpoint(config)
    if config.model.weights == "dummy":
        return _dummy(config)
    from runner.planning import gguf  # which asks for environments, and these for checkpoints

    location, revision = _named(config)
    if gguf.is_asked_for(config) and paths.resolve(location).exists():
        there, files, digest = gguf.in_folder(config, location, _key(config))
        return Checkpoint(str(there), "", digest, files)
    if (folder := paths.resolve(location)).is_dir():
        if not (folder / "config.json").is_file():
            raise Refused(Problem(f"{location} holds no config.json", _key(config), "name the folder of a checkpoint"))
        return Checkpoint(str(folder), "", folder_digest(folder))
    if location.startswith((".", "/", "~")) or location.count("/") != 1:
        raise Refused(Problem(f"there is no folder {location}", _key(config), "a folder, or a hub name: owner/name"))
    try:
        commit = hub.commit(location, revision)
        if gguf.is_asked_for(config):
            files, digest = gguf.at_hub(config, location, commit, _key(config))
            return Checkpoint(location, commit, digest, files)
    except hub.Denied as denied:
        where = f"model={config.model.name} quant={config.quant.name}"
        raise Refused(Problem(denied.denial.what, where, denied.denial.remedy)) from denied
    return Checkpoint(location, commit, f"{location}@{commit}")


def _endpoint(config: Config) -> Checkpoint:
    """Name a model that somebody else serves: its files are unknown, so address and name stand for its content."""
    name = config.model.path or config.model.name
    if name in ("openai", PROVIDERS):
        raise Refused(
            Problem("which model of the endpoint?", "model.name", "its name there, such as model.name=gpt-4o")
        )
    return Checkpoint(name, "", f"{config.backend.base_url or PROVIDERS} {name}")


def _key(config: Config) -> str:
    return "model.path" if config.model.path else f"model={config.model.name}, checkpoints.{config.quant.name}"


def _named(config: Config) -> tuple[str, str]:
    """Pick the location and revision that model and quantisation say."""
    model, quant = config.model, config.quant
    if model.path:
        location = model.path
    else:
        chosen = next((name for name in quant.checkpoint if name in model.checkpoints), None)
        if chosen is None:
            if not model.checkpoints:
                what = f"model={model.name} names no checkpoint"
                remedy = "model.path=FOLDER or owner/name of one of yours; what it must be stands in the model's file"
                raise Refused(Problem(what, f"model={model.name}", remedy))
            raise Refused(
                Problem(
                    f"model={model.name} has no quant={quant.name}",
                    f"model={model.name} quant={quant.name}",
                    f"it has: {', '.join(_valid_quants(config))}; or add checkpoints.{quant.name} to its file, "
                    "or model.path=FOLDER",
                )
            )
        location = model.checkpoints[chosen]
    path, _, revision = location.partition("@")
    return path, model.revision or revision


def _valid_quants(config: Config) -> Iterator[str]:
    """Yield the words that `quant=` takes for this model, read from conf/quant."""
    from omegaconf import OmegaConf

    for file in sorted((paths.conf_dir() / "quant").glob("*.yaml")):
        content = OmegaConf.load(file)  # one that chooses a backend has its keys below `quant`
        needed = OmegaConf.select(content, "checkpoint") or OmegaConf.select(content, "quant.checkpoint") or []
        if any(name in config.model.checkpoints for name in needed):
            yield file.stem


def _dummy(config: Config) -> Checkpoint:
    """Random weights need the architecture alone: a local folder, the shipped one, or the hub's config.json."""
    model, quant = config.model, config.quant
    if not quant.dummy:
        raise Refused(
            Problem(
                f"model.weights=dummy can't stand in for quant={quant.name}",
                "model.weights",
                "native, bf16, fp16, fp32: quantised weights are made from real ones",
            )
        )
    location = model.path or model.architecture or next(iter(model.checkpoints.values()), "").partition("@")[0]
    folder = paths.resolve(location)
    if not (folder / "config.json").is_file():
        raise Refused(
            Problem(
                f"no config.json in {location or 'model.architecture'}",
                "model.weights=dummy",
                "model.architecture=FOLDER with the model's config.json",
            )
        )
    content = (folder / "config.json").read_bytes() + json.dumps(model.config_override, sort_keys=True).encode()
    return Checkpoint(str(folder), "", "dummy:" + hashlib.sha256(content).hexdigest())


def read_json(location: str, revision: str, name: str) -> dict[str, Any]:
    """Return a JSON file of a checkpoint, from its folder or the hub's cache; empty where it is in neither."""
    file = Path(location) / name
    if not file.is_absolute():
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError

        try:
            cached = try_to_load_from_cache(location, name, revision=revision or None)
        except HFValidationError:  # the name of an endpoint's model
            return {}
        if not isinstance(cached, str):
            return {}
        file = Path(cached)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


@functools.cache
def image_token(location: str, revision: str) -> int | None:
    """Return the id that stands for a piece of a picture in a prompt; None where the checkpoint doesn't say."""
    values = read_json(location, revision, "config.json")
    numbers = (values.get(name) for name in ("image_token_id", "image_token_index"))
    return next((value for value in numbers if isinstance(value, int)), None)


# ------------------------------------------------------------------------------------------ names of contents


def folder_digest(folder: Path) -> str:
    """Hash the files of a local checkpoint, names and contents. A file is read again only when it changed."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if not file.is_file() or any(part.startswith(".") for part in name.parts):
            continue  # .git and a download's .cache differ between equal copies
        total.update(name.as_posix().encode() + b"\0")
        total.update(file_digest(file).encode())
    return total.hexdigest()


def file_digest(file: Path) -> str:
    """Hash a file's content. It is read again only when it changed."""
    stat = file.stat()
    return _file_digest(str(file.resolve()), stat.st_size, stat.st_mtime_ns)


@functools.cache
def _file_digest(path: str, size: int, mtime_ns: int) -> str:
    """Hash a file; the digests of large ones are kept beside the store, since reading them takes minutes."""
    if size < LARGE_BYTES:
        return _sha256(path)
    kept = paths.store_dir() / "digests.json"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(kept.read_text(encoding="utf-8"))
    name = f"{path}|{size}|{mtime_ns}"
    if name not in known:
        log.info("reading %s (%.1f GB) to name its content; this is done once", path, size / 1e9)
        known[name] = _sha256(path)
        with contextlib.suppress(OSError):  # a cache: without it the file is only read again
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return known[name]


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
