"""Registers the schema with Hydra, turns a composed config into its dataclasses, and checks the values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from hydra._internal import defaults_list
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import InputDefault
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, InterpolationKeyError, OmegaConfBaseException

from runner.base.errors import Problem, Refused
from runner.config import secret_values, values, yaml_files
from runner.config.load import CLOSED, OPEN, load_problems
from runner.config.over_time import over_time_problems
from runner.config.race import race_problems
from runner.config.report_settings import report_problems
from runner.config.schema import SUMMARIES, Config

# The start of this command. It names the folder of the command's jobs, so that all of them lie together.
STARTED = datetime.now()
# The remedy for a `${` that was meant literally.
INTERPOLATED = "${...} stands for another value; for the characters themselves write \\${...}"


def register() -> None:
    """Register the schema with Hydra as `base_config`, and the resolver `${started:%H-%M-%S-%f}`.

    Hydra's own `now` has a resolution of one second, in which two commands may start. The value is cached, so that a
    job that is composed in another process keeps the folder of its sweep.
    """
    store = ConfigStore.instance()
    # Hydra 1.3.8 deep-copies the whole store with its repository twice a job and five times a config group for --help
    # (_internal/config_repository.py, CachingConfigRepository). The store is a singleton that copies each node it hands
    # out (core/config_store.py, load), so the copies are not needed; they took 80 % of the time of --help.
    ConfigStore.__deepcopy__ = lambda self, _memo: self
    schema = OmegaConf.structured(Config)
    for free in (schema.dataset.columns, schema.answer_columns, schema.report.constraints, schema.report.slo):
        # Otherwise Hydra takes 'dataset.columns={question: Вопрос}' only with a +. We check the keys ourselves.
        OmegaConf.set_struct(free, False)
    yaml_files.install()
    store.store(name="base_config", node=schema)
    defaults_list._create_interpolation_map = _choices_so_far
    OmegaConf.register_new_resolver("started", _started, use_cache=True, replace=True)


_hydras_own: Callable[..., DictConfig] = defaults_list._create_interpolation_map


def _choices_so_far(overrides: Any, entries: Sequence[InputDefault], self_added: bool) -> DictConfig:
    """Return the config for `${...}` in a defaults list. This replaces Hydra's function.

    Hydra 1.3.8 makes this config for each file that it composes (_internal/defaults_list.py), even if no entry of the
    file's defaults list contains `${...}`. That takes a quarter of the time to compose a job.
    """
    if any(entry.is_interpolation() for entry in entries):
        return _hydras_own(overrides, entries, self_added)
    return DictConfig({})


def _started(pattern: str) -> str:
    return STARTED.strftime(pattern)


def typed(cfg: DictConfig) -> Config:
    """Return the dataclasses for a composed config. Raise Refused for a value that is missing or out of range."""
    try:
        config = OmegaConf.to_object(cfg)
    except OmegaConfBaseException as error:
        raise Refused(_missing(cfg, error)) from error
    assert isinstance(config, Config)
    if unknown := list(_unknown(config)):
        raise Refused(Problem("there is no such key, and + can't add a key", key) for key in unknown)
    if problems := list(check_values(cfg)):
        raise Refused(problems)
    return config


def _unresolved(error: OmegaConfBaseException) -> Problem:
    """Return our message for OmegaConf's error about a value that can't be resolved."""
    what, where = str(error).splitlines()[0], str(error.full_key or "")
    if unset := re.search(r"Environment variable '(\w+)' not found", what):
        return Problem(f"there is no environment variable {unset[1]}", where, f"export {unset[1]}=...")
    remedy = INTERPOLATED if isinstance(error, (InterpolationKeyError, GrammarParseError)) else ""
    return Problem(what, where, remedy)


def _missing(cfg: DictConfig, error: OmegaConfBaseException) -> list[Problem]:
    """Return a problem for each missing value of a config that can't be resolved; without any, that of `error`."""
    try:
        keys = sorted(map(str, OmegaConf.missing_keys(cfg)))
    except OmegaConfBaseException as unresolved:  # `missing_keys` resolves every value
        return [_unresolved(unresolved)]
    return [Problem("a value is needed", key, f"give it: {key}=...") for key in keys] or [_unresolved(error)]


def _unknown(value: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys that `+key=value` or `++key=value` has added to a schema.

    Nothing reads such keys, and the config.yaml of such a job would no longer fit the schema.
    """
    if dataclasses.is_dataclass(value):
        names = {field.name for field in dataclasses.fields(value)}
        yield from (f"{prefix}{name}" for name in getattr(value, "__dict__", {}) if name not in names)
        for name in names:
            yield from _unknown(getattr(value, name), f"{prefix}{name}.")
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _unknown(entry, f"{prefix}{name}.")


def check_values(cfg: DictConfig) -> Iterator[Problem]:
    """Yield a problem for each value that has the right type, but lies outside its choices or its range."""
    yield from values.problems(Config, cfg)
    yield from report_problems(cfg.report)
    if cfg.tracking.uri is not None and not cfg.tracking.uri:
        yield Problem("it is empty", "tracking.uri", "tracking=none, or a MLFLOW_TRACKING_URI that is not empty")
    yield from secret_values.find(cfg)
    for name in cfg.summaries:
        if name not in SUMMARIES:
            yield Problem(f"{name!r} is not valid", "summaries", f"any of: {', '.join(SUMMARIES)}")
    if (cfg.stage == "score") != (cfg.answers is not None):
        yield Problem("stage=score and answers=FILE belong together", "stage", "give both, or neither")
    yield from load_problems(cfg)
    yield from race_problems(cfg)
    yield from over_time_problems(cfg)
    if cfg.backend.replicas > cfg.concurrency and cfg.load.arrivals not in OPEN:
        what = f"{cfg.backend.replicas} replicas and concurrency={cfg.concurrency}: some would never be asked"
        yield Problem(what, "backend.replicas", f"concurrency={cfg.backend.replicas} or more")
    if cfg.backend.replicas > 1 and cfg.backend.base_url:
        yield Problem("an endpoint that runs already can't be replicated here", "backend.replicas", "leave it out")
    if cfg.backend.adapt_concurrency and not cfg.backend.base_url:
        what = "an engine of ours has no rate limit"
        yield Problem(what, "backend.adapt_concurrency", "leave it out, or an endpoint: backend=openai")
    if cfg.backend.adapt_concurrency and cfg.load.arrivals != CLOSED:
        what = "in an open load requests are sent when they are due, whatever the endpoint bears"
        yield Problem(what, "backend.adapt_concurrency", "load=closed, or leave it out")
    low, high = cfg.model.min_pixels, cfg.model.max_pixels
    if low and high and low > high:
        yield Problem(f"min_pixels ({low}) is above max_pixels ({high})", "model.min_pixels", "swap or change them")
