"""Which environment an engine runs in: from the words of conf/env to something that can be built and used.

The command line wins (`env=vllm_cpu`). With `env=auto` the model's word for this backend wins over the quantisation's,
and that over the backend's own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from backends.process import environments
from backends.process.apptainer import ApptainerEnvironment
from backends.process.container_environment import ContainerSettings
from backends.process.docker import DockerEnvironment
from backends.process.environments import Environment
from backends.process.remote_environment import RemoteEnvironment, RemoteSettings
from backends.process.uv_environment import UvEnvironment
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config, ContainerConfig, EnvConfig, RemoteConfig
from runner.planning import checkpoints

_Settings = TypeVar("_Settings", RemoteSettings, ContainerSettings)


def chosen(config: Config) -> EnvConfig:
    """Return the settings of a job's environment. Raise Refused where `env=auto` leads to no file."""
    if config.env.name != "auto":
        return config.env
    if dataclasses.replace(config.env, price_per_hour=None) != EnvConfig(name="auto"):
        raise Refused(Problem("env=auto reads its settings from conf/env", "env", "env=NAME beside env.KEY=..."))
    backend = config.backend
    name = config.model.env.get(backend.name) or config.quant.env.get(backend.name) or backend.env or "current"
    env = _read(name)
    given = config.env.price_per_hour  # a price is no setting of an environment
    return env if given is None else dataclasses.replace(env, price_per_hour=given)


def resolve(config: Config) -> Environment:
    """Return a job's environment; it may have to be built yet. Raise Refused for one that can't be."""
    env = chosen(config)
    if env.kind == "current":
        if env.name != "current":
            raise _unknown(env.name, "env")
        return environments.find("current")
    if env.kind == "remote":
        return _remote(config, env)
    if env.kind == "container":
        return _container(env)
    if env.kind != "uv":
        raise Refused(Problem(f"env.kind={env.kind} is not valid", "env.kind", "current, uv, container, remote"))
    if not env.requirements:
        raise Refused(Problem("a requirements file is needed", "env.requirements", "env.requirements=envs/FILE.txt"))
    try:
        return UvEnvironment(
            label=env.name,
            requirements=paths.resolve(env.requirements),
            python=env.python,
            overlays=tuple(paths.resolve(folder) for folder in env.overlays),
            remove=tuple(env.remove),
            commands=tuple(env.commands),
            variables=_variables(env),
        )
    except ValueError as error:
        raise Refused(Problem(str(error), f"env={env.name}")) from error


def _remote(config: Config, env: EnvConfig) -> Environment:
    given = env.remote
    if given is None:
        what = "which machine, started, used and stopped how?"
        raise Refused(Problem(what, "env.remote", "env=remote and docs/engines.md, Remote machines"))
    if config.pool.gpus:
        raise Refused(Problem("it claims GPUs of this machine", "pool.gpus", f"leave it out with env={env.name}"))
    try:
        settings = _settings(RemoteSettings, given, start=tuple(map(_word, given.start)))
        return RemoteEnvironment(
            label=env.name,
            settings=settings,
            records=machine_records(),
            cwd=paths.root(),
            variables=_variables(env),
            share=config.backend.replicas,
        )
    except ValueError as error:
        raise Refused(Problem(str(error), f"env={env.name}")) from error


def name(config: Config) -> str:
    """Return what tells a job's environment from every other. Raise Refused where that can't be found out."""
    env = resolve(config)
    try:
        return env.name
    except ValueError as error:  # an image that can't be asked for
        raise Refused(Problem(str(error), f"env={chosen(config).name}")) from error


def _container(env: EnvConfig) -> Environment:
    given = env.container
    if given is None or not given.image:
        raise Refused(Problem("which image?", "env.container.image", f"env={env.name} env.container.image=NAME:TAG"))
    settings = _settings(ContainerSettings, given, image=_image(given.image, given.runtime))
    try:
        if given.runtime == "apptainer":
            return ApptainerEnvironment(env.name, settings, checkpoints.file_digest, _variables(env))
        return DockerEnvironment(env.name, settings, _variables(env))
    except ValueError as error:
        raise Refused(Problem(str(error), f"env={env.name}")) from error


def _settings(kind: type[_Settings], given: RemoteConfig | ContainerConfig, **changed: Any) -> _Settings:
    """Return settings of `backends` from the keys of the config with the same names. What is null keeps its default.

    Raise ValueError for settings that can't be meant.
    """
    values: dict[str, Any] = {field.name: getattr(given, field.name) for field in dataclasses.fields(kind)} | changed
    settings: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return kind(**{key: value for key, value in settings.items() if value is not None})


def _variables(env: EnvConfig) -> dict[str, str]:
    return {name: _text(value) for name, value in env.variables.items()}


def _word(word: str) -> str:
    """Name a file of the working directory as it is found from `paths.root()`, where commands are run."""
    return str(Path(word).absolute()) if Path(word).is_file() and not (paths.root() / word).is_file() else word


def machine_records() -> Path:
    """Return the folder that says which rented machines run."""
    return paths.store_dir() / "machines"


def _image(name: str, runtime: str) -> str:
    """Return an image's name; that of a file is a path as in every config."""
    return str(paths.resolve(name)) if runtime == "apptainer" and "://" not in name else name


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.lru_cache(maxsize=32)
def _read(name: str) -> EnvConfig:
    """Read conf/env/NAME.yaml, as Hydra does for `env=NAME`."""
    try:
        env = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(EnvConfig), *_files(name)))
    except OmegaConfBaseException as error:
        raise Refused(Problem(str(error).splitlines()[0], f"conf/env/{name}.yaml")) from error
    assert isinstance(env, EnvConfig)
    return env


def _files(name: str) -> Iterator[DictConfig]:
    """Yield the contents of conf/env/NAME.yaml and of the files that its defaults name, the weaker first."""
    file = paths.conf_dir() / "env" / f"{name}.yaml"
    if name == "auto" or not file.is_file():
        raise _unknown(name, "model.env, quant.env or backend.env, which env=auto follows")
    content = OmegaConf.load(file)
    assert isinstance(content, DictConfig)
    order = list(content.pop("defaults", []))
    for entry in order if "_self_" in order else [*order, "_self_"]:
        if entry == "_self_":
            yield content
        else:
            yield from _files(entry)


def _unknown(name: str, where: str) -> Refused:
    known = sorted(path.stem for path in (paths.conf_dir() / "env").glob("*.yaml") if path.stem != "auto")
    return Refused(Problem(f"there is no environment {name}", where, f"one of: {', '.join(known)}"))
