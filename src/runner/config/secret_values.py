"""Finds secrets in a config, because a config is written into files, MLflow and command lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from backends import redaction
from runner.base.errors import Problem

# Like every `name`, these keys are shown in tables, folder names and MLflow with their `${...}` resolved.
_SHOWN = ("tracking.experiment",)
_REFERENCE = re.compile(r"\$[A-Za-z_]\w*")
_HEADERS = "backend.headers."
# Settings that are passed to an engine or an endpoint: their name shows whether the value is a secret.
_NAMED = re.compile(r"^(?:backend|env)\.(?:headers|engine_args|variables)\.(.+)$")


def find(cfg: DictConfig) -> Iterator[Problem]:
    """Yield a problem for each secret in a config. No message repeats a value."""
    secrets = redaction.of_environment(os.environ)
    for key, value in _leaves("", OmegaConf.to_container(cfg, resolve=False)):
        if (problem := _problem(key, value, secrets) or _shown(cfg, key, value)) is not None:
            yield problem


def _problem(key: str, value: str, secrets: Mapping[str, str]) -> Problem | None:
    named = _NAMED.match(key)
    name = named[1] if named else ""
    if key.startswith(_HEADERS):
        if "${" in value:
            exposed = "the value of the environment variable would be kept in files"
            return Problem(exposed, key, "write $NAME instead of ${oc.env:NAME}")
        if _REFERENCE.search(value):
            value = _REFERENCE.sub("", value)
        remedy = "write '$NAME', in single quotes on a command line: it is read when the endpoint is asked"
    elif named:
        remedy = "export it as an environment variable, which engines inherit: a command line is read by anybody"
        if "${" in value and redaction.names_secret(name):
            return Problem("it would be visible in the engine's command line", key, remedy)
    else:
        remedy = "keep it in an environment variable: ${oc.env:NAME}"
        if key == "tracking.uri":
            remedy = "give the address as MLFLOW_TRACKING_URI in the environment"
        elif key == "backend.base_url":
            remedy = "give the key by backend.api_key_variable=NAME, the name of an environment variable"
    what = redaction.problem(name, re.sub(r"\$\{[^}]*\}", "", value), secrets)
    if what is None:
        return None
    return Problem(f"{what}, and would be kept in files and process lists", key, remedy)


def _shown(cfg: DictConfig, key: str, value: str) -> Problem | None:
    """Return the problem of a name that refers to a secret, because names are shown with their value."""
    if "${" not in value or not (key in _SHOWN or key.endswith(".name")):
        return None
    what = redaction.problem("", str(OmegaConf.select(cfg, key)))
    return (
        Problem(f"{what}, and would be kept in files, folder names and tables", key, "write a name that is no secret")
        if what
        else None
    )


def _leaves(key: str, node: Any) -> Iterator[tuple[str, str]]:
    """Yield the key and the value of every text in a config."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _leaves(f"{key}.{name}" if key else str(name), value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _leaves(f"{key}.{index}", value)
    elif isinstance(node, str):
        yield key, node
