"""Checks a user's own YAML files (`--config-dir`, conf/), and names file, line and remedy for each mistake.

Hydra's messages say what could not be merged, but not where it is: `Key 'checkpoint' not in 'ModelConfig'`.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from runner.base import paths
from runner.config import lookup

_FILE = re.compile(r"In '([\w/.-]+)'")
_PACKAGE = re.compile(r"\s*#\s*@package\s+(\S+)")
# Keys that a file of a whole job may have besides those of the schema.
WHOLE = ("defaults", "hydra")


def explain(message: str, arguments: Sequence[str]) -> str | None:
    """Return every mistake in the files that Hydra's `message` and the command line name; None if there is none."""
    places = folders(arguments)
    names = [match[1] for match in [_FILE.search(message)] if match]
    for argument in arguments:
        group, _, words = argument.lstrip("+").partition("=")
        names += [f"{group}/{word.strip()}" for word in words.strip("[]").split(",")]
    lines = []
    for name in dict.fromkeys(names):
        if file := find(name, places):
            mistakes = faults(file, name.rpartition("/")[0], places)
            lines += [f"{file}, line {line}: {what}" for line, what in mistakes]
    return "\n".join(lines) or None


def folders(arguments: Sequence[str]) -> list[Path]:
    """Return the folders in which configs are looked up, in Hydra's order."""
    searched = [paths.conf_dir()]
    for number, argument in enumerate(arguments):
        if argument in ("--config-dir", "-cd") and number + 1 < len(arguments):
            searched.append(Path(arguments[number + 1]))
        elif argument.startswith("--config-dir="):
            searched.append(Path(argument.partition("=")[2]))
        elif argument.startswith("hydra.searchpath=["):
            searched += [Path(entry.strip(" '\"").removeprefix("file://")) for entry in argument[18:-1].split(",")]
    return searched


def find(name: str, places: Sequence[Path]) -> Path | None:
    """Return the file of a config `group/name`; None if there is none."""
    return next((file for place in places if (file := place / f"{name}.yaml").is_file()), None)


def faults(file: Path, group: str, places: Sequence[Path]) -> Iterator[tuple[int, str]]:
    """Yield line number and message for everything in a config file that the schema doesn't take."""
    text = file.read_text(encoding="utf-8")
    loader = get_yaml_loader()(text)
    try:
        root = loader.get_single_node()
        header = next((match for line in text.splitlines() if (match := _PACKAGE.match(line))), None)
        package = header[1] if header else group.replace("/", ".")
        if group == "experiment" and header is None:
            yield 1, "an experiment sets keys of a whole job, so its first line is: # @package _global_"
            return
        package = "" if package == "_global_" else package.replace("_group_", group.replace("/", "."))
        kind = lookup.kind_at(package)
        if root is None or kind is None:
            return
        if not isinstance(root, yaml.MappingNode):
            yield 1, "this is no mapping: a config is lines of `key: value`"
            return
        yield from _mapping(loader, root, kind, "", _Place(group, package, places))
    finally:
        loader.dispose()


@dataclasses.dataclass(frozen=True)
class _Place:
    """The place of a config file: its group, the part of a job's config that it sets, and the folders of configs."""

    group: str
    package: str
    folders: Sequence[Path]


def _mapping(loader: Any, node: yaml.MappingNode, kind: Any, prefix: str, place: _Place) -> Iterator[tuple[int, str]]:
    known = lookup.keys(kind)
    for key_node, value in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if not prefix and key == "defaults":
            yield from _defaults(loader, value, place)
        elif not prefix and not place.package and key == "hydra":
            continue
        elif known is not None and key not in known:
            yield line, _unknown(key, known, prefix, place)
        else:
            yield from _value(loader, value, lookup.inner(kind, key), f"{prefix}{key}", place, line)


def _unknown(key: str, known: Sequence[str], prefix: str, place: _Place) -> str:
    known = known if prefix or place.package else [*known, *WHOLE]
    if not prefix and key == place.package.partition(".")[0]:
        return f"{key}: in a file of conf/{place.group}/ keys are not indented, without a line `{key}:` above them"
    return f"there is no key {prefix}{key}{lookup.suggestion(key, known, prefix)}"


def _value(loader: Any, node: yaml.Node, kind: Any, key: str, place: _Place, line: int) -> Iterator[tuple[int, str]]:
    nested = lookup.keys(kind) is not None or typing.get_origin(kind) is dict
    if isinstance(node, yaml.MappingNode):
        if nested or kind is Any:
            yield from _mapping(loader, node, kind, f"{key}.", place)
        else:
            yield line, f"{key} takes {_kind(kind)}, and has keys of its own here"
        return
    value = loader.construct_object(node, deep=True)
    if value is None:
        return  # a null where none is allowed is found when the job is checked
    if nested and not place.package and "." not in key and isinstance(value, (str, list)):
        words = value if isinstance(value, str) else f"[{', '.join(map(str, value))}]"
        yield line, f"{key} is a group, and its file is chosen in the list of defaults: - override /{key}: {words}"
    elif (expected := lookup.expected(kind, value)) is not None:
        yield line, f"{key} takes {expected}, not {value!r}"


def _kind(kind: Any) -> str:
    return "a list" if typing.get_origin(kind) is list else lookup.WORDS.get(kind, "one value")


def _defaults(loader: Any, node: yaml.Node, place: _Place) -> Iterator[tuple[int, str]]:
    """Yield the groups and files of a list of defaults that do not exist."""
    if not isinstance(node, yaml.SequenceNode):
        yield node.start_mark.line + 1, "defaults is a list: - override /model: NAME"
        return
    for entry in node.value:
        line, default = entry.start_mark.line + 1, loader.construct_object(entry, deep=True)
        if isinstance(default, str):
            if (
                default not in ("_self_", "base_config")
                and find(default.removeprefix("/"), places := _places(default, place)) is None
            ):
                yield line, f"there is no {default}" + lookup.suggestion(default, _names(places))
            continue
        for word, names in default.items() if isinstance(default, dict) else ():
            yield from ((line, what) for what in _default(str(word), names, place))


def _default(word: str, names: Any, place: _Place) -> Iterator[str]:
    is_override = word.startswith("override ")
    group = word.removeprefix("override ").removeprefix("optional ").strip().partition("@")[0]
    absolute = group.startswith("/") or not place.group
    name = group.removeprefix("/") if absolute else f"{place.group}/{group}"
    if name.startswith("hydra/") or "optional " in word:
        return
    if not any((folder / name).is_dir() for folder in place.folders):
        if not absolute and any((folder / group).is_dir() for folder in place.folders):
            yield f"a group is named from the root: override /{group}: {names}"
            return
        groups = {
            path.parent.relative_to(folder).as_posix() for folder in place.folders for path in folder.rglob("*.yaml")
        }
        yield f"there is no group {group}" + lookup.suggestion(name, sorted(groups - {"."}), "/")
        return
    if place.group == "experiment" and not is_override:
        yield f"a job has a {name} already: write `override /{name}: {names}`"
        return
    if is_override and not place.package and not absolute:
        yield f"a group is named from the root: override /{group}"
    for choice in names if isinstance(names, list) else [names]:
        if choice is not None and find(f"{name}/{choice}", place.folders) is None:
            known = _names([folder / name for folder in place.folders])
            yield f"there is no {name}={choice}" + lookup.suggestion(str(choice), known, f"{name}=")


def _places(default: str, place: _Place) -> list[Path]:
    return list(place.folders) if default.startswith("/") else [folder / place.group for folder in place.folders]


def _names(places: Sequence[Path]) -> list[str]:
    return sorted({path.stem for place in places for path in place.glob("*.yaml")})
