"""What a mistyped key or choice was probably meant to be; Hydra names the mistake and not the remedy."""

from __future__ import annotations

import dataclasses
import difflib
import typing

from hydra.errors import MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from runner.config import Config


def remedy(error: Exception) -> str | None:
    """Say what is wrong and what was probably meant; None where a key or a choice is not what is wrong."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, name = error.missing_cfg_file.rpartition("/")
        return f"there is no {group}={name}" + _meant(name, error.options, f"{group}=")
    cause = error.__cause__
    if not isinstance(cause, OmegaConfBaseException) or not isinstance(cause, (ConfigAttributeError, ConfigKeyError)):
        return None
    wrong = cause.full_key or str(cause.key)
    parent, _, name = wrong.rpartition(".")
    keys = _keys(parent)
    prefix = f"{parent}." if parent else ""
    if keys is None:  # a mapping that takes any key
        return f"{parent} has no {name} yet; a + adds it: +{wrong}=..."
    close = difflib.get_close_matches(name, keys, n=1)
    # `limit=3` alone: a key of one of the groups.
    inside = [] if close or parent else [key for group in keys for key in _inside(group) if key.endswith(f".{name}")]
    return f"there is no key {wrong}" + _meant(name, inside or keys, "" if inside else prefix)


def _meant(wrong: str, known: typing.Sequence[str], prefix: str) -> str:
    close = difflib.get_close_matches(wrong, known, n=3) or [key for key in known if key.endswith(f".{wrong}")][:3]
    if close:
        return "; did you mean " + " or ".join(f"{prefix}{key}" for key in close) + "?"
    shown = [f"{prefix}{key}" if prefix.endswith(".") else key for key in sorted(known)]
    return f"; there are: {', '.join(shown)}"


def _inside(group: str) -> list[str]:
    return [f"{group}.{key}" for key in _keys(group) or ()]


def _keys(path: str) -> list[str] | None:
    """Return the keys of the schema at a dotted path; None where that is no part of the schema."""
    schema: typing.Any = Config
    for name in path.split(".") if path else ():
        hints = typing.get_type_hints(schema) if dataclasses.is_dataclass(schema) else {}
        schema = hints.get(name)
        schema = next((kind for kind in typing.get_args(schema) if dataclasses.is_dataclass(kind)), schema)
    if not dataclasses.is_dataclass(schema):
        return None
    return [field.name for field in dataclasses.fields(schema)]
