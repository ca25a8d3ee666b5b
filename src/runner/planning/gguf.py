"""Finds the files of a GGUF checkpoint: the language model of a quantisation, and its projector for pictures.

A folder or a repository holds one model in several precisions, which its files name (…-Q4_K_M.gguf), and its projector
(mmproj-…gguf). Both files are what an engine loads, so both are part of what names the checkpoint's content.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from backends import gguf_header, llama_cpp_server
from backends.api import EngineSpec
from backends.llama_cpp import QUANT
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.planning import checkpoints, environments, hub

ENDING = ".gguf"
_ANSWERS_WITHIN_S = 60
_PROJECTOR = re.compile(r"(?:^|[-_./])mmproj", re.IGNORECASE)
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
# Of several projectors: all precisions are close to each other, and this one every llama.cpp build computes with.
_PREFERRED = ("f16", "bf16", "f32", "q8_0")


def is_asked_for(config: Config) -> bool:
    """Say whether a job's quantisation is one of GGUF files."""
    return config.quant.name.startswith(QUANT)


def in_folder(config: Config, location: str, key: str) -> tuple[Path, tuple[str, ...], str]:
    """Return folder, names of files and digest of a local checkpoint. Raise Refused where they are not what is asked.

    `location` is a folder, or the file of the language model in it.
    """
    place = paths.resolve(location)
    folder = place if place.is_dir() else place.parent
    names = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob(f"*{ENDING}"))]
    if place.is_file():
        names = [name for name in names if name == place.name or _PROJECTOR.search(name)]
    files, shards = choose(config, names, location, key)
    try:
        llama_cpp_server.file_flags(
            folder / files[0],
            folder / files[1] if len(files) > 1 else None,
            config.quant.name.removeprefix(QUANT),
            config.model.min_pixels,
            config.model.max_pixels,
        )
    except (OSError, ValueError) as error:
        raise Refused(Problem(str(error), key)) from error
    digests = [checkpoints.file_digest(folder / name) for name in (*shards, *files[1:])]
    return folder, files, "gguf:" + hashlib.sha256(" ".join(digests).encode()).hexdigest()


def at_hub(config: Config, location: str, commit: str, key: str) -> tuple[tuple[str, ...], str]:
    """Return names of files and digest of a hub's checkpoint. Raise Refused, or hub.Denied where it can't be asked."""
    folder = hub.snapshot(location, commit)
    try:  # the cache first: a machine without a network needs none for what it holds
        files, shards = choose(config, sorted(hub.names(folder)) if folder is not None else (), location, key)
    except Refused:
        files, shards = choose(config, hub.gguf_files(location, commit), location, key)
    return files, " ".join([f"{location}@{commit}", *shards, *files[1:]])


def with_program(config: Config, spec: EngineSpec) -> EngineSpec:
    """Name the server's program beside the checkpoint, where no environment's pins name it. Raise Refused for none."""
    kind, named = environments.chosen(config).kind, spec.arg("engine_args.server")
    if kind in ("container", "remote") or (kind == "uv" and not named):
        return spec
    try:
        program = llama_cpp_server.find(named or None)
        return dataclasses.replace(spec, digest=f"{spec.digest} {_version(program, program.stat().st_mtime_ns)}")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Refused(Problem(str(error), "backend=llama_cpp")) from error


@functools.cache
def _version(program: Path, changed: int) -> str:
    """Return what a program says of its build, and a digest of its file: its libraries may lie elsewhere."""
    del changed
    done = subprocess.run([program, "--version"], check=True, capture_output=True, text=True, timeout=_ANSWERS_WITHIN_S)
    said = " ".join((done.stdout + done.stderr).split())
    return f"{said} {hashlib.sha256(program.read_bytes()).hexdigest()[:16]}"


def choose(config: Config, names: Iterable[str], location: str, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (the file of the model and, where pictures are shown, its projector; all shards of the model)."""
    names = [name for name in names if name.endswith(ENDING)]
    models = [name for name in names if not _PROJECTOR.search(name)]
    projectors = [name for name in names if _PROJECTOR.search(name)]
    if not models:
        raise Refused(
            Problem(f"{location} holds no {ENDING} file of a language model", key, "its folder or repository")
        )
    model = _of_precision(models, config.quant.name.removeprefix(QUANT), location, key)
    shards = _shards(model, models, location, key)
    if not config.model.images:
        return (shards[0],), shards
    if not projectors:
        what = f"{location} holds no projector for pictures (mmproj-….gguf), without which the model would see none"
        raise Refused(
            Problem(what, key, "put it beside the model's file; or a model of text alone: model.images=false")
        )
    return (shards[0], _projector(projectors, location, key)), shards


def _of_precision(models: Sequence[str], precision: str, location: str, key: str) -> str:
    """Return the (first) file of a precision. A single file may have any name: its head says what it holds."""
    found = [name for name in models if _names(name, precision)]
    firsts = [name for name in found or models if not (shard := _SHARD.search(name)) or int(shard[1]) == 1]
    if len(firsts) == 1:
        return firsts[0]
    if found:
        what = f"{location} holds several models in {precision}: {', '.join(firsts[:4])}"
        raise Refused(Problem(what, key, "model.path=FILE names one of them"))
    there = sorted({word for name in models for word in gguf_header.FILE_TYPES.values() if _names(name, word)})
    what = f"{location} holds no file of {precision}; its files name: {', '.join(there) or ', '.join(models[:4])}"
    raise Refused(Problem(what, key, "another quant=gguf_…, or model.path=FILE"))


def _shards(first: str, models: Sequence[str], location: str, key: str) -> tuple[str, ...]:
    shard = _SHARD.search(first)
    if shard is None:
        return (first,)
    begin = first[: shard.start()]
    wanted = tuple(f"{begin}-{number:05}-of-{shard[2]}{ENDING}" for number in range(1, int(shard[2]) + 1))
    if absent := [name for name in wanted if name not in models]:
        raise Refused(Problem(f"{location} lacks {', '.join(absent[:3])}", key, "fetch all parts of the model"))
    return wanted


def _projector(projectors: Sequence[str], location: str, key: str) -> str:
    if len(projectors) == 1:
        return projectors[0]
    for precision in _PREFERRED:
        if len(found := [name for name in projectors if _names(name, precision)]) == 1:
            return found[0]
    what = f"{location} holds several projectors for pictures: {', '.join(projectors[:4])}"
    raise Refused(Problem(what, key, "keep one beside the model"))


def _names(file: str, precision: str) -> bool:
    """Say whether a file's name has a precision's word of its own: f16 does not stand in bf16."""
    return (
        re.search(rf"(?<![a-z0-9]){precision}(?![a-z0-9_]*[a-z0-9])", file.rpartition("/")[2], re.IGNORECASE)
        is not None
    )
