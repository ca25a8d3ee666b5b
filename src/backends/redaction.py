"""Keeps secrets out of everything that is written: logs, messages, files. Standard library only.

A secret is what was told to be one (`remember`: keys of engines and endpoints), the value of an environment variable
whose name says so (HF_TOKEN, OPENAI_API_KEY), and what looks like one: a password in an address, `Bearer …`, tokens of
well-known make. `redact` blanks them; `problem` says why a value does not belong into a config.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

SHORTEST = 8  # characters; shorter ones would blank out ordinary words

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_ALWAYS = {"password", "passwd", "passphrase", "secret", "credential", "credentials", "authorization", "cookie"}
_LAST = {"key", "token", "secrets", "apikey", "auth", "pat"}
_PASSWORD = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
_BEARER = re.compile(r"(?i)(\bbearer\s+|authorization[\"']?\s*[:=]\s*[\"']?(?:basic\s+)?)(?=\S*\d)[\w.~+/=\-]{8,}")
_MADE_LIKE_ONE = re.compile(
    r"\b(?:sk-(?=[\w-]*\d)[\w-]{8,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,})"
)

_told: set[str] = set()


def remember(secret: str) -> str:
    """Blank this out from now on, in all of this process; return it."""
    if len(secret) >= SHORTEST:
        _told.add(secret)
    return secret


@functools.cache
def names_secret(name: str) -> bool:
    """Whether a variable, header or setting of this name holds a secret: HF_TOKEN, X-Api-Key, db_password."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(words) and (words[-1] in _LAST or not _ALWAYS.isdisjoint(words))


def of_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets among environment variables, by value, with the variable's name."""
    return {value: name for name, value in variables.items() if names_secret(name) and _may_be_secret(name, value)}


def _may_be_secret(name: str, value: str) -> bool:
    """Tell secrets from the paths that lead to them, and from words: SORT_KEY=sample_id must not blank out each."""
    if len(value) < SHORTEST or value.startswith(("/", "~", "./")):
        return False
    named = not _ALWAYS.isdisjoint(word.lower() for word in _WORDS.findall(name))
    return named or len(value) >= 20 or not re.fullmatch(r"[a-z_\-.]+", value)


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return what blanks out these, also as JSON and addresses write them, and whatever looks like a secret."""
    written = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))}
    given = sorted(written, key=len, reverse=True)
    exact = re.compile("|".join(map(re.escape, given))) if given else None

    def blank(text: str) -> str:
        if exact is not None:
            text = exact.sub("***", text)
        text = _PASSWORD.sub("***", text) if "://" in text else text
        return _MADE_LIKE_ONE.sub("***", _BEARER.sub(r"\1***", text))

    return blank


def redact(text: str) -> str:
    """Return `text` with every secret replaced by ***."""
    return redactor((*_told, *of_environment(os.environ)))(text)


def problem(name: str, value: str, secrets: Mapping[str, str] | None = None) -> str | None:
    """Say why a setting's value does not belong into a config, without repeating it; None where it does.

    `name` is empty where names say nothing. `secrets` are those of the environment, which are looked up unless given.
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
    """A log formatter that blanks out secrets, those of tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record))
