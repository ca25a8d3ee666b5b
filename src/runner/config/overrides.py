"""Writes overrides for a command line, quoted for Hydra's grammar and for a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Texts that need no quotation marks: they begin like a word or a path, and Hydra can't read them as numbers.
PLAIN = re.compile(r"[A-Za-z_/][\w./@-]*", re.ASCII)
NOT_WORDS = re.compile(r"(?i:true|false|null|nan|inf)")


def spelled(key: str, value: Any) -> str:
    """Return the override that sets a key to a YAML value. A comma in the value never becomes a sweep."""
    return f"{key}={_value(value)}"


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_key(str(key))}:{_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ",".join(map(_value, value)) + "]"
    text = str(value)
    return text if PLAIN.fullmatch(text) and not NOT_WORDS.fullmatch(text) else in_quotes(text)


def in_quotes(text: str) -> str:
    """Return a text in single quotation marks, as Hydra's grammar reads it back."""
    # Hydra reads a backslash as an escape only before a quotation mark and at the end: only there it is doubled.
    escaped = re.sub(r"(\\*)('|\Z)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return f"'{escaped}'"


def _key(key: str) -> str:
    if not PLAIN.fullmatch(key.lstrip("+")):
        raise ValueError(f"{key!r} can't be a key on a command line: ASCII letters, digits and _ only")
    return key


def config_dir_option(arguments: Sequence[str]) -> list[str]:
    """Return the option --config-dir of a command line with its value; an empty list if it has none."""
    for number, argument in enumerate(arguments):
        if argument in ("--config-dir", "-cd"):
            return ["--config-dir", arguments[number + 1]]
        if argument.startswith("--config-dir="):
            return [argument]
    return []


def command(*arguments: str) -> str:
    """Return a command line of the runner, quoted for a shell."""
    return " ".join(["python -m runner", *map(in_shell, arguments)])


def in_shell(argument: str) -> str:
    """Return an argument quoted for a shell."""
    readable = "'" in argument and not set(argument) & set('"$`\\!')
    return f'"{argument}"' if readable else shlex.quote(argument)
