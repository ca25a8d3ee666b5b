"""Backend `openai`: a running endpoint with OpenAI chat completions, such as a provider, a gateway or another server.

`spec.checkpoint` is the model's name at the endpoint. `EngineSpec.args` has these settings:

    base_url api_key_variable dialect headers omit rename stream adapt
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable

from yarl import URL

from backends import redaction, wire
from backends.api import Endpoint, EngineSpec, EngineStats, Failure
from backends.engine_args import PREFIX, is_true, settings

_SETTINGS = ("base_url", "api_key_variable", "dialect", "headers", "omit", "rename", "stream", "adapt")
# Query parameters of an address that are keys, in addition to those that `redaction.names_secret` recognises.
_KEYS_IN_ADDRESS = ("sig", "signature", "code", "sas", "jwt", "access", "pass", "pwd")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)")


class OpenAiBackend:
    """Uses a server that others started. Only the timing of answers is measured, because there is no process."""

    name = "openai"

    def launch(self, spec: EngineSpec, port: int) -> Endpoint:
        """Return the endpoint. Raise ValueError for an address, key or setting that can't be used."""
        del port
        if engine_args := [name for name, _ in spec.args if name.startswith(PREFIX)]:
            raise ValueError(f"backend.{engine_args[0]}: backend openai starts no engine that could be given arguments")
        if spec.quant != "native":
            raise ValueError(
                f"quant={spec.quant}: the quantisation of an endpoint can't be chosen; leave quant out, or give "
                "quant=native"
            )
        if spec.weights != "real":
            raise ValueError(f"model.weights={spec.weights}: an endpoint has its own weights")
        chosen = settings(spec, _SETTINGS)
        dialect = chosen.get("dialect", "openai")
        return Endpoint(
            url=_address(chosen.get("base_url", "")),
            model=spec.checkpoint,
            dialect="local" if _dialect(dialect) == "local" else "openai",
            api_key=_key(chosen.get("api_key_variable", "")),
            token_ids=False,
            headers={name: _value(name, value) for name, value in json.loads(chosen.get("headers", "{}")).items()},
            omit=tuple(_known("omit", json.loads(chosen.get("omit", "[]")))),
            rename=_renamed(json.loads(chosen.get("rename", "{}"))),
            adapt=is_true("backend.adapt", chosen.get("adapt", "false")),
            stream=is_true("backend.stream", chosen.get("stream", "true")),
        )

    def translate(self, log_tail: str) -> Failure | None:
        """Return None, because an endpoint has no log here."""
        del log_tail
        return None

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Return empty statistics, because an endpoint's statistics can't be read here."""
        del before, after, log
        return EngineStats()


def _address(url: str) -> str:
    """Return the address without /chat/completions. A query without a key, such as Azure's api-version, is kept."""
    address = URL(url)
    if address.user or address.password:
        raise ValueError("backend.base_url: a key belongs into the variable that backend.api_key_variable names")
    if address.scheme not in ("http", "https") or not address.host:
        shown = redaction.redact(url)
        raise ValueError(f"backend.base_url={shown!r}: give an address such as http://127.0.0.1:8000/v1")
    for name, value in address.query.items():
        secret = redaction.names_secret(name) or name.lower() in _KEYS_IN_ADDRESS or redaction.problem(name, value)
        if secret:
            raise ValueError(
                f"backend.base_url: its parameter {name} is a key, which would be kept in files: name the environment "
                "variable that holds it by backend.api_key_variable, or send it as a header, "
                "'+backend.headers.api-key=$NAME'"
            )
    path, _, query = url.partition("#")[0].partition("?")
    path = path.rstrip("/").removesuffix("/chat/completions")
    return f"{path}?{query}" if query else path


def _known(key: str, names: Iterable[str]) -> Iterable[str]:
    """Return the names. Raise ValueError for a name that is no setting, or a setting that every request needs."""
    for name in names:
        if name not in wire.SETTINGS:
            raise ValueError(
                f"backend.{key}: {name} is no setting that could be changed; valid: {', '.join(wire.SETTINGS)}"
            )
    return names


def _renamed(names: dict[str, str]) -> dict[str, str]:
    taken = [*wire.SETTINGS, "model", "messages", "stream"]
    _known("rename", names)
    for name, other in names.items():
        if not isinstance(other, str) or not other or other in taken or list(names.values()).count(other) > 1:
            raise ValueError(
                f"backend.rename: {name} can't be called {other!r}, which is another setting's name or none"
            )
    return names


def _dialect(name: str) -> str:
    if name not in ("openai", "local"):
        raise ValueError(f"backend.dialect={name}: openai (what OpenAI's own takes), local (vLLM and SGLang take more)")
    return name


def _key(variable: str) -> str:
    """Return the key in an environment variable; an empty text if no variable is named."""
    if not variable:
        return ""
    if not os.environ.get(variable):
        raise ValueError(
            f"backend.api_key_variable={variable}: this environment variable is not set; export it, name another "
            "one, or give backend.api_key_variable=null for an endpoint without a key"
        )
    return redaction.remember(os.environ[variable])


def _value(header: str, text: str) -> str:
    """Replace `$NAME` in the value of a header by the environment variable, because a config may not hold secrets."""

    def read(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ValueError(f"backend.headers.{header}: the environment variable {match[1]} is not set")
        return redaction.remember(os.environ[match[1]])

    return _VARIABLE.sub(read, text)
