"""How requests to a model differ from what is sent otherwise: `model.request`, `backend.omit` and `backend.rename`.

    request: {max_tokens: max_completion_tokens, temperature: null, reasoning_effort: low}

A setting of ours with a text is renamed, with null it is left out. Every other name is added to the body of each
request as it stands. `sampling.thinking` chooses one more such mapping, of those in `model.thinking`:

    thinking: {"off": {chat_template_kwargs: {enable_thinking: false}}, budget: {thinking_token_budget: BUDGET}}
"""

from __future__ import annotations

import fnmatch
import re
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
        sources: dict[str, list[str]] = {}
        for name in self.omit:
            sources.setdefault(self.by[name], []).append(name)
        return sources


def request_form(config: Any) -> RequestForm:
    """Return the form of a job's requests. `config` is a `Config`, a composed one, or the stored one of an old job.

    Raise Refused with everything that is wrong with it.
    """
    model, backend, sampling = (_part(config, name) for name in ("model", "backend", "sampling"))
    problems: list[Problem] = []
    omit: dict[str, None] = {}
    rename: dict[str, str] = {}
    extra: dict[str, Any] = {}
    by: dict[str, str] = {}
    for key, name, value in _written(model, backend, sampling):
        where = f"{key}.{name}"
        if name in _SET_ELSEWHERE:
            problems.append(Problem("it is a part of every request", where, f"{_SET_ELSEWHERE[name]} sets it"))
        elif name not in wire.SETTINGS:
            before = extra.pop(name, None)
            if isinstance(before, Mapping) and isinstance(
                value, Mapping
            ):  # chat_template_kwargs may have several parts
                value = {**before, **value}  # noqa: PLW2901
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


def _written(
    model: Mapping[str, Any], backend: Mapping[str, Any], sampling: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Yield (key of the config, name, value), the strongest last."""
    pattern, by_name = _by_name(model, backend, "request_by_name")
    for name, value in by_name.items():
        yield f"{_BY_NAME}.{pattern}", str(name), value
    if sampling.get("thinking") is not None:
        for name, value in _thinking(model, backend, sampling).items():
            yield "sampling.thinking", str(name), value
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


def _by_name(model: Mapping[str, Any], backend: Mapping[str, Any], key: str) -> tuple[str, Mapping[str, Any]]:
    """Return the first pattern that fits a model's name at an OpenAI endpoint, and what belongs to it."""
    if backend.get("dialect") != "openai":
        return "", {}
    # Gateways put the provider before the name: openai/gpt-5-mini.
    called = str(model.get("path") or model.get("name")).rpartition("/")[2].lower()
    named = model.get(key) or {}
    pattern = next((pattern for pattern in named if fnmatch.fnmatchcase(called, pattern.lower())), None)
    return ("", {}) if pattern is None else (pattern, named[pattern] or {})


def _thinking(model: Mapping[str, Any], backend: Mapping[str, Any], sampling: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is sent for `sampling.thinking`. Raise Refused where the model has no such thinking."""
    word = str(sampling["thinking"]).lower()
    word = {"false": "off", "true": "on"}.get(word, word)  # as YAML reads off and on
    known = {**_by_name(model, backend, "thinking_by_name")[1], **(model.get("thinking") or {})}
    is_budget = re.fullmatch(r"\d+", word) is not None
    if (chosen := known.get("budget" if is_budget else word)) is None or word == "budget":
        words = [level if level != "budget" else "a number of tokens" for level in known]
        has = f"it has: {', '.join(words)}" if words else "leave it out, or say in model.thinking what is then sent"
        raise Refused(Problem(f"model={model.get('name')} has no thinking {word}", "sampling.thinking", has))
    if not is_budget:
        return dict(chosen)
    budget, limit = int(word), sampling.get("max_tokens")
    if limit is not None and budget >= limit:
        what = f"thinking of {budget} tokens leaves nothing of sampling.max_tokens={limit} for the answer"
        raise Refused(Problem(what, "sampling.thinking", "raise sampling.max_tokens, which counts both"))
    return dict(_with_budget(chosen, budget))


def _with_budget(value: Any, budget: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_budget(inner, budget) for name, inner in value.items()}
    return budget if value == "BUDGET" else value


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
        keys = (
            *("name", "path", "request", "request_by_name", "thinking", "thinking_by_name", "max_tokens"),
            *("dialect", "omit", "rename"),
        )
        return {key: _plain(part.get(key)) for key in keys if key in part and not OmegaConf.is_missing(part, key)}
    return part or {}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
