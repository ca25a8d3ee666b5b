"""Reads the overrides of a command line, and explains in plain words which of them can't be read.

Hydra's own messages are those of its lexer (`LexerNoViableAltException`, `mismatched input '='`).
"""

from __future__ import annotations

import importlib.metadata
import re
import typing
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from runner.config import lookup
from runner.config.misspelt import SEVERAL
from runner.config.overrides import command, in_quotes, in_shell
from runner.config.quoting import UnreadableValue, quoted

# Keys that take one text, or a list of them.
FILTERS = ("dataset.split", "dataset.doc_class", "dataset.field")
# A group whose files are called true and false.
TRUTHS = "race"
# Overrides that begin with these may start a sweep without -m.
SWEEPING = ("hydra.mode", "experiment")


def optuna_storage(overrides: Sequence[str]) -> str | None:
    """Return why Optuna can't keep its study in the database that the overrides name; None if there is no obstacle.

    hydra-optuna-sweeper 1.3.0 requires optuna<3, and the newest such, 2.10.1, doesn't commit the table of its version
    under SQLAlchemy 2 (`assert version is not None` in optuna/storages/_rdb/storage.py), which MLflow brings.
    """
    storage = next(
        (override for override in overrides if override.lstrip("+").startswith("hydra.sweeper.storage=")), ""
    )
    where = storage.partition("=")[2].strip("'\"")
    if where in ("", "null") or where.startswith("redis"):
        return None
    installed = importlib.metadata.version("sqlalchemy")
    if installed.startswith("1."):
        return None
    return (
        f"{storage}: optuna 2.10, which hydra-optuna-sweeper 1.3 needs, can't keep a study in a database with "
        f"SQLAlchemy {installed}\n      -> leave it out. To go on with a search give the same command with the same "
        "hydra.sweeper.sampler.seed and a larger hydra.sweeper.n_trials: what was answered is in the store"
    )


def read(flags: Sequence[str], overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the overrides as Hydra takes them, and a message for each override that can't be read.

    Messages about a missing -m come first.
    """
    parser = OverridesParser.create()
    taken: list[str] = []
    unread, swept = [message for flag in flags if (message := _key_as_flag(flag))], []
    for override in overrides:
        try:
            taken.append(quoted(override, is_text=is_of_texts(override)))
            parsed = parser.parse_override(taken[-1])
        except UnreadableValue as problem:
            unread.append(_unread(override, str(problem)))
        except HydraException:
            unread.append(_unread(override, _reason(override, overrides)))
        else:
            if parsed.is_sweep_override():
                swept.append((override, parsed))
    if swept and not _is_sweep(flags, overrides):
        whole = command(*flags, "-m", *overrides)
        unread = [*(missing_m(override, parsed, whole) for override, parsed in swept), *unread]
    return taken, unread


def _key_as_flag(flag: str) -> str | None:
    """Return the message for a key that is written like an option: --model=openai."""
    match = re.fullmatch(r"--?([A-Za-z_]\w*(?:[./]\w+)*)(=.*)?", flag, re.DOTALL)
    if match is None or match[1].partition(".")[0].partition("/")[0] not in (lookup.keys(lookup.kind_at("")) or ()):
        return None
    return f"{flag}: a key has no dashes before it: {in_shell(match[1] + (match[2] or '=VALUE'))}"


def asks_twice(overrides: Sequence[str]) -> bool:
    """Return whether every question is asked two ways, which is a sweep although each key has one value."""
    return any(override.lstrip("+") == "prompt.schema_mode=both" for override in overrides)


def missing_m(override: str, parsed: Override | None = None, whole: str | None = None) -> str:
    """Return the message for an override with several values and no -m. `whole` is the corrected command line."""
    key, _, value = override.partition("=")
    what = f"{override}: these are several values, and -m is missing"
    lines = [what, f"      -> to run each: {whole or command('-m', override)}"]
    bare = not re.match(r"\s*(choice|range|interval|glob|sort|shuffle|tag)\s*\(", value)
    if bare and _takes_list(key):
        lines.append(f"      -> one list of them: {in_shell(f'{key}=[{value}]')}")
    if bare and _takes_text(key):
        lines.append(f"      -> one text with a comma: {in_shell(f'{key}={in_quotes(value)}')}")
    values = parsed.value().list if parsed is not None and parsed.is_choice_sweep() else []
    if len(values) == 2 and all(type(item) is int for item in values) and lookup.kind_at(key.lstrip("+")) is float:
        lines.append(f"      -> a decimal number has a point: {key}={values[0]}.{values[1]}")
    return "\n".join(lines)


def _is_sweep(flags: Sequence[str], overrides: Sequence[str]) -> bool:
    return any(flag in ("-m", "--multirun") for flag in flags) or any(item.startswith(SWEEPING) for item in overrides)


def _takes_text(key: str) -> bool:
    return lookup.kind_at(key.lstrip("+")) in (str, Any, None) and "/" not in key


def is_of_texts(override: str) -> bool:
    """Return whether a key takes text, or a list or mapping of texts. A group doesn't: it takes the name of a file."""
    key = override.partition("=")[0].lstrip("+")
    kind = lookup.kind_at(key)
    inner = lookup.without_none(typing.get_args(kind)[-1]) if typing.get_origin(kind) in (list, dict) else kind
    return inner is str or key in FILTERS or key == TRUTHS


def _takes_list(key: str) -> bool:
    kind = lookup.kind_at(key.lstrip("+"))
    return kind is Any or typing.get_origin(kind) is list or key.lstrip("+") in SEVERAL


def _unread(override: str, why: str) -> str:
    key, equals, value = override.partition("=")
    # Where any value is taken, braces are a mapping, which as one text would be refused later.
    is_mapping = value.startswith("{") and lookup.kind_at(key.lstrip("+")) is not str
    if not equals or not value or is_mapping or not key.isascii() or not _takes_text(key):
        return f"{override}: {why}"
    return f"{override}: {why}\n      -> the whole as one text: {in_shell(f'{key}={in_quotes(value)}')}"


def _reason(override: str, overrides: Sequence[str]) -> str:
    """Return why Hydra's grammar refuses an override."""
    key, equals, value = override.partition("=")
    position = list(overrides).index(override)
    if not equals:
        if position and overrides[position - 1].rstrip().endswith(","):
            return "a blank after a comma ends an argument; write key=a,b without blanks"
        return "this is no key=value; put quotation marks around an argument with blanks: 'key=a value'"
    if not key.isascii() or not key.strip():
        return "a key is ASCII letters, digits, _ and points, as in docs/configuration.md"
    if value.rstrip().endswith(")"):
        return f"{value} reads as a function, and there is no such function"
    return "this can't be read"


def added_twice(message: str) -> str | None:
    """Return our message for Hydra's error about a + before what is there already; None for another error.

    Hydra's own puts the override between quotation marks that it may hold itself, so that its remedies can't be pasted.
    """
    there = re.search(r"An item is already at '(.+?)'\.\n.*?Either remove \+ prefix: '(.*?)'\n", message, re.DOTALL)
    if there is not None:
        return f"+{there[2]}: there is a {there[1]} already, and + only adds\n      -> {in_shell(there[2])}"
    chosen = re.match(r"Multiple values for ([\w/]+)\.", message)
    if chosen is None:
        return None
    return f"{chosen[1]}: it is chosen already, and + only adds\n      -> {chosen[1]}=NAME, without the +"


def missing_m_in(message: str) -> str | None:
    """Return our message for Hydra's error about several values without -m; None if `message` is another error."""
    for begin, end in (("Ambiguous value for argument '", "'\n"), ("Sweep parameters '", "' requires --multirun")):
        if message.startswith(begin) and end in message:
            return missing_m(message.removeprefix(begin).partition(end)[0])
    return None
