"""Suggests the key or choice that a mistyped one was probably meant to be. Hydra's messages name only the mistake."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Sequence

from hydra.errors import MissingConfigException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    OmegaConfBaseException,
    ValidationError,
)

from runner.base import paths
from runner.config import lookup

# Groups from which several files may be chosen at once: they hold independent entries, or are merged on purpose.
SEVERAL = ("metrics", "judge/model", "experiment", "workers")
# The word of a file that was named in place of a word, by its ending.
_OF_ENDING = {
    **{"jsonl": "jsonl", "json": "json_list", "parquet": "parquet", "csv": "annotations", "tsv": "vlmevalkit"},
    **dict.fromkeys(("xlsx", "xls", "ods"), "spreadsheet"),
    **dict.fromkeys(("txt", "yaml", "yml"), "FILE"),
}


def remedy(error: Exception) -> str | None:
    """Return what is wrong and what was probably meant; None if the error is not about a key or a choice."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        if place := _path_for_a_word(error.missing_cfg_file):
            return place
        group, _, name = error.missing_cfg_file.rpartition("/")
        # Hydra knows no options where a list was given: metrics=[cer,wre]
        options = error.options or sorted(path.stem for path in (paths.conf_dir() / group).glob("*.yaml"))
        return f"there is no {group}={name}" + lookup.suggestion(name, options, f"{group}=") if options else None
    cause = error.__cause__
    is_merged = str(error).startswith("Error merging override")
    if isinstance(cause, OmegaConfBaseException) and cause.full_key and is_merged:
        override = str(error).splitlines()[0].removeprefix("Error merging override ").strip().strip("'")
        if entry := _entry(override.lstrip("+").partition("=")[0]):
            return f"{override}: {entry}"
        kind = lookup.kind_at(str(cause.full_key))
        if isinstance(cause, ValidationError):
            expected = lookup.expected(kind, cause.value)
            return f"{override}: {cause.full_key} takes {expected}" if expected else None
        if isinstance(cause, ConfigTypeError) and (form := _container(kind, str(cause.full_key))):
            return f"{override}: {form}"
    if not isinstance(cause, OmegaConfBaseException) or not isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        return None
    wrong = cause.full_key or str(cause.key)
    parent, _, name = wrong.rpartition(".")
    keys = _keys(parent)
    prefix = f"{parent}." if parent else ""
    if entry := _entry(wrong):
        return entry
    if keys is None:  # a mapping that takes any key
        return f"{parent} has no {name} yet; a + adds it: +{wrong}=..."
    close = difflib.get_close_matches(name, keys, n=1)
    # `limit=3` alone, or `limt=3`: a key of one of the groups.
    within = [] if close or parent else [key for group in keys for key in _inside(group)]
    alike = difflib.get_close_matches(name, [key.rpartition(".")[2] for key in within], n=3)
    inside = [key for key in within if key.endswith(f".{name}")]
    inside = inside or [key for similar in alike for key in within if key.endswith(f".{similar}")]
    if inside:
        return f"there is no key {wrong}; did you mean {' or '.join(inside[:3])}?"
    return f"there is no key {wrong}" + lookup.suggestion(name, keys, prefix)


def _entry(key: str) -> str | None:
    """Return where a key belongs that was written beside the entries of a mapping: judge.model.name=gpt-4o."""
    parent, _, name = key.rpartition(".")
    names = _keys(key) if typing.get_origin(lookup.kind_at(parent)) is dict else None
    if names is None or name not in names:
        return None
    group = parent.replace(".", "/")
    chosen = f"{group}=[NAME] {parent}.NAME" if (paths.conf_dir() / group).is_dir() else f"{parent}.NAME"
    return f"{parent} has entries with keys of their own: {chosen}.{name}=..."


def _container(kind: object, key: str) -> str | None:
    """Return the form in which a key with several values is written on a command line; None for another key."""
    if typing.get_origin(kind) is list:
        return f"{key} takes a list: '{key}=[A,B]'"
    if typing.get_origin(kind) is dict:
        return f"{key} takes a mapping: '{key}={{NAME: VALUE}}'"
    if (names := lookup.keys(kind)) is not None:
        return f"{key} takes its own keys, such as {key}.{names[0]}=VALUE"
    return None


def _path_for_a_word(missing: str) -> str | None:
    """Return the message where a group was given a path in place of a word: dataset=/data/q.jsonl."""
    group, _, value = missing.partition("/")
    word = _OF_ENDING.get(value.rpartition(".")[2].lower(), "FORMAT")
    if not ("/" in value or "\\" in value or (group in ("dataset", "prompt") and word != "FORMAT")):
        return None
    first = value.partition("/")[0]  # a group within this one, as judge/model
    within = first not in ("", ".", "..") and (paths.conf_dir() / group / first).is_dir()
    if within or not (paths.conf_dir() / group).is_dir():
        return None
    words = {"dataset": f"dataset={word}", "prompt": "prompt=collection", "model": "model=WORD"}
    word = words.get(group, "")
    what = f"{group} takes a word, as {group}=NAME for conf/{group}/NAME.yaml, and no path"
    return f"{what}: {word} {group}.path={value}" if word else what


def missing_part(overrides: Sequence[str]) -> str | None:
    """Return which override sets a key in a part that the chosen file lacks: env.container.image=... with env=current.

    Hydra fails with a bare AssertionError for such an override. Return None if there is no such override.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        group, _, rest = key.partition(".")
        part = rest.partition(".")[0]
        files = sorted((paths.conf_dir() / group).glob("*.yaml")) if part != rest else []
        having = [file.stem for file in files if f"\n{part}:\n" in file.read_text(encoding="utf-8")]
        if having and len(having) < len(files):
            known = " or ".join(f"{group}={name}" for name in having)
            return f"{key}: the chosen {group} has no settings {group}.{part}; there are some with {known}"
    return None


def merged(overrides: Sequence[str]) -> str | None:
    """Return which override lists several files of a group that takes one. Hydra would merge these files silently."""
    for override in overrides:
        match = re.fullmatch(r"\+?(\w+)=\[([^\[\]]+,[^\[\]]+)\]", override)
        if match and match[1] not in SEVERAL and (paths.conf_dir() / match[1]).is_dir():
            words = match[2].replace(" ", "")
            return f"{match[1]} takes one word: {override} would merge them. To run each: -m {match[1]}={words}"
    return None


def _inside(group: str) -> list[str]:
    return [f"{group}.{key}" for key in _keys(group) or ()]


def _keys(path: str) -> list[str] | None:
    """Return the keys of the schema at a dotted path; None if the path names no part of the schema."""
    return lookup.keys(lookup.kind_at(path))
