"""What a mistyped key or choice was probably meant to be; Hydra names the mistake and not the remedy."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Sequence

from hydra.errors import MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from runner import paths
from runner.config import Config

# Groups that take several words at once, or whose files are laid over one another on purpose.
SEVERAL = ("metrics", "judge/model", "experiment", "workers")


def remedy(error: Exception) -> str | None:
    """Say what is wrong and what was probably meant; None where a key or a choice is not what is wrong."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        # Hydra knows no options where a list was given: metrics=[cer,wre]
        options = error.options or sorted(path.stem for path in (paths.conf_dir() / group).glob("*.yaml"))
        return f"there is no {group}={name}" + _meant(name, options, f"{group}=") if options else None
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
    # `limit=3` alone, or `limt=3`: a key of one of the groups.
    within = [] if close or parent else [key for group in keys for key in _inside(group)]
    alike = difflib.get_close_matches(name, [key.rpartition(".")[2] for key in within], n=3)
    inside = [key for key in within if key.endswith(f".{name}")]
    inside = inside or [key for one in alike for key in within if key.endswith(f".{one}")]
    if inside:
        return f"there is no key {wrong}; did you mean {' or '.join(inside[:3])}?"
    return f"there is no key {wrong}" + _meant(name, keys, prefix)


def lacking(overrides: Sequence[str]) -> str | None:
    """Say which override sets a key of settings that the choice doesn't have: env.container.image=... alone.

    At these, Hydra fails with a bare AssertionError. None where it can't be that.
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
    """Say which override lists words of a group that takes one: Hydra would merge the files that they name."""
    for override in overrides:
        found = re.fullmatch(r"\+?(\w+)=\[([^\[\]]+,[^\[\]]+)\]", override)
        if found and found[1] not in SEVERAL and (paths.conf_dir() / found[1]).is_dir():
            words = found[2].replace(" ", "")
            return f"{found[1]} takes one word: {override} would merge them. To run each: -m {found[1]}={words}"
    return None


def _meant(wrong: str, known: typing.Sequence[str], prefix: str) -> str:
    if close := difflib.get_close_matches(wrong, known, n=3):
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
