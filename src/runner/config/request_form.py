"""How requests to a model differ from what is sent otherwise: `model.request`, `backend.omit` and `backend.rename`.

    request: {max_tokens: max_completion_tokens, temperature: null, reasoning_effort: low}

A setting of ours with a text is renamed, with null it is left out. Every other name is added to the body of each
request as it stands.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from backends import wire
from runner.base.errors import Problem, Refused

# Parts of a body that no file may set, and what sets them.
_SET_ELSEWHERE = {
    "model": "model.name or model.path",
    "messages": "prompt",
    "stream": "backend.stream",
    "n": "sampling.repeats",
}
_BY_NAME = "model.request_by_name"


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What is left out of requests, what is called otherwise, and what is added. `by` names the key that says it."""

    omit: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    by: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what of it decides the text of answers; empty where nothing is changed."""
        parts = {"omit": sorted(self.omit), "rename": dict(self.rename), "extra": dict(self.extra)}
        return {name: part for name, part in parts.items() if part}

    @property
    def not_sent(self) -> dict[str, list[str]]:
        """Return the settings that are left out, by the key that says so."""
        found: dict[str, list[str]] = {}
        for name in self.omit:
            found.setdefault(self.by[name], []).append(name)
        return found


def request_form(config: Any) -> RequestForm:
    """Return the form of a job's requests. `config` is a `Config`, a composed one, or the stored one of an old job.

    Raise Refused with everything that is wrong with it.
    """
    model, backend = _part(config, "model"), _part(config, "backend")
    problems: list[Problem] = []
    omit: dict[str, None] = {}
    rename: dict[str, str] = {}
    extra: dict[str, Any] = {}
    by: dict[str, str] = {}
    for key, name, value in _written(model, backend):
        where = f"{key}.{name}"
        if name in _SET_ELSEWHERE:
            problems.append(Problem("it is a part of every request", where, f"{_SET_ELSEWHERE[name]} sets it"))
        elif name not in wire.SETTINGS:
            extra.pop(name, None)
            extra |= {} if value is None else {name: value}
        elif value is not None and not isinstance(value, str):
            what = f"{value!r} is neither a name nor null"
            problems.append(Problem(what, where, f"{wire.SET_BY[name]} sets its value; a text renames it, null omits"))
        else:
            omit.pop(name, None)
            rename.pop(name, None)
            if value is None:
                omit[name] = None
            elif value != name or name in wire.LOCAL_SETTINGS:  # an endpoint gets these only where they are named
                rename[name] = value
        by[name] = key
    problems += _clashes(rename, extra, omit, by)
    if problems:
        raise Refused(problems)
    return RequestForm(tuple(omit), rename, extra, by)


def _written(model: Mapping[str, Any], backend: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield (key of the config, name, value), the strongest last."""
    if backend.get("dialect") == "openai":
        # Gateways put the provider before the name: openai/gpt-5-mini.
        called = str(model.get("path") or model.get("name")).rpartition("/")[2].lower()
        by_name = model.get("request_by_name") or {}
        pattern = next((pattern for pattern in by_name if fnmatch.fnmatchcase(called, pattern.lower())), None)
        for name, value in (by_name[pattern] or {}).items() if pattern is not None else ():
            yield f"{_BY_NAME}.{pattern}", str(name), value
    for name, value in (model.get("request") or {}).items():
        if name != "extra_body":
            yield "model.request", str(name), value
            continue
        # As in the package openai: what stands in it goes into the body itself.
        if value is not None and not isinstance(value, Mapping):
            raise Refused(Problem(f"{value!r} is no mapping", "model.request.extra_body", "{name: value}"))
        for inner, given in (value or {}).items():
            yield "model.request.extra_body", str(inner), given
    for name in backend.get("omit") or ():
        yield "backend.omit", name, None
    for name, value in (backend.get("rename") or {}).items():
        yield "backend.rename", str(name), value


def _clashes(
    rename: Mapping[str, str], extra: Mapping[str, Any], omit: Mapping[str, None], by: Mapping[str, str]
) -> Iterator[Problem]:
    """Yield a problem for each name under which two things would be sent."""
    sent = {name: rename.get(name, name) for name in wire.SETTINGS if name not in omit}
    names = [*sent.values(), *extra, *_SET_ELSEWHERE]
    for name, other in rename.items():
        if not other or names.count(other) > 1:
            yield Problem(
                f"{name} can't be called {other!r}, which is the name of another part of the request, or none",
                f"{by[name]}.{name}",
                "another name",
            )


def _part(config: Any, name: str) -> Mapping[str, Any]:
    """Return a group of a config as plain values. Configs of old jobs lack some keys."""
    part = config.get(name) if isinstance(config, Mapping) else vars(getattr(config, name))
    if isinstance(part, DictConfig):
        keys = ("name", "path", "request", "request_by_name", "dialect", "omit", "rename")
        return {key: _plain(part.get(key)) for key in keys if key in part and not OmegaConf.is_missing(part, key)}
    return part or {}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
