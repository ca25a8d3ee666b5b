"""Keeps secrets out of everything that is written: logs, messages, files. Standard library only.

These texts are secrets: those passed to `remember` (keys of engines and endpoints), values of environment variables
with names such as HF_TOKEN or OPENAI_API_KEY, and texts that look like secrets: a password in an address, `Bearer …`,
tokens in well-known formats. `redact` replaces them; `problem` says why a value must not be in a config.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

SHORTEST = 8  # characters; shorter texts are not replaced, because they may be ordinary words

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ALWAYS = {"password", "passwd", "passphrase", "secret", "credential", "credentials", "authorization", "cookie"}
_LAST = {"key", "token", "secrets", "apikey", "auth", "pat"}
_PASSWORD = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
_BEARER = re.compile(r"(?i)(\bbearer\s+|authorization[\"']?\s*[:=]\s*[\"']?(?:basic\s+)?)(?=\S*\d)[\w.~+/=\-]{8,}")
_MADE_LIKE_ONE = re.compile(
    r"\b(?:sk-(?=[\w-]*\d)[\w-]{8,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})"
)

_remembered: set[str] = set()


def remember(secret: str) -> str:
    """Replace this secret from now on, in the whole process. Return it."""
    if len(secret) >= SHORTEST:
        _remembered.add(secret)
    return secret


@functools.cache
def names_secret(name: str) -> bool:
    """Return whether a variable, header or setting of this name holds a secret: HF_TOKEN, X-Api-Key, db_password."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and (words[-1] in _LAST or not _ALWAYS.isdisjoint(words))


def of_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets among environment variables, as a mapping of value to name."""
    return {value: name for name, value in variables.items() if names_secret(name) and _may_be_secret(name, value)}


def _may_be_secret(name: str, value: str) -> bool:
    """Return False for paths to secrets and for plain words: SORT_KEY=sample_id must not replace every `sample_id`."""
    if len(value) < SHORTEST or value.startswith(("/", "~", "./")):
        return False
    named = not _ALWAYS.isdisjoint(word.lower() for word in _WORDS.findall(name))
    return named or len(value) >= 20 or not re.fullmatch(r"[a-z_\-.]+", value)


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that replaces these secrets, also in JSON and URL encodings, and what looks like one."""
    encoded = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))}
    longest_first = sorted(encoded, key=len, reverse=True)
    exact = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def blank(text: str) -> str:
        if exact is not None:
            text = exact.sub("***", text)
        text = _PASSWORD.sub("***", text) if "://" in text else text
        return _MADE_LIKE_ONE.sub("***", _BEARER.sub(r"\1***", text))

    return blank


def redact(text: str) -> str:
    """Return `text` with every secret replaced by ***."""
    return redactor((*_remembered, *of_environment(os.environ)))(text)


def problem(name: str, value: str, secrets: Mapping[str, str] | None = None) -> str | None:
    """Return why a setting's value must not be in a config, without repeating it; None if it may be.

    `name` is the setting's name; empty if the name is no sign of a secret. `secrets` are those of the environment; by
    default they are looked up.
    """
    if _PASSWORD.search(value):
        return "it holds a password in an address"
    if _MADE_LIKE_ONE.search(value) or _BEARER.search(value):
        return "it looks like a key or token"
    for secret, variable in (of_environment(os.environ) if secrets is None else secrets).items():
        if secret in value:
            return f"it is what the environment variable {variable} holds"
    if name and names_secret(name) and len(value) >= SHORTEST:
        return "its name says that it is a secret"
    return None


class RedactingFormatter(logging.Formatter):
    """A log formatter that replaces secrets, also those in tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record))
