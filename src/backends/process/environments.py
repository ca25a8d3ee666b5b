"""In which environment an engine runs: which interpreter, which packages.

An environment takes the command a backend gives and returns the one that is really started:

    current    this interpreter, with this package on its path
    uv         an environment built from a requirements file (`uv_environment.py`)
    docker     a container of an image (`docker.py`)
    apptainer  the same without a daemon (`apptainer.py`)
"""

from __future__ import annotations

import dataclasses
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from backends.api import Launch
from backends.process import cuda_toolkit

NO_TELEMETRY = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}  # of the hub, and of whoever heeds the latter
PACKAGE_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds the package `backends`


def cache_dir() -> Path:
    """Return the folder of built environments: `$RUNNER_ENVS` or ~/.cache/vlm-runner/envs."""
    return Path(os.environ.get("RUNNER_ENVS") or "~/.cache/vlm-runner/envs").expanduser().absolute()


class Environment(Protocol):
    """A place in which engines run. `name` tells it from every other: equal names hold the same software."""

    @property
    def name(self) -> str:
        """What `EngineSpec.env` says."""
        ...

    def build(self, say: Callable[[str], None]) -> None:
        """Make it ready, which may take minutes; `say` hears what is being done. Raise EngineFailed where it fails."""
        ...

    def prepare(self, launch: Launch) -> Launch:
        """Return `launch` as it is started here: `argv[0]` resolved, variables added."""
        ...


class CurrentEnvironment:
    """The environment that this process runs in."""

    name = "current"

    def build(self, say: Callable[[str], None]) -> None:
        """Do nothing: it is there."""

    def prepare(self, launch: Launch) -> Launch:
        """Put this interpreter in the place of `python`, and `backends` on its path."""
        argv = launch.argv
        if argv[0] == "python":
            argv = (sys.executable, *argv[1:])
        own = "CUDA_HOME" in os.environ  # this environment is the user's, and so is its toolkit
        cuda = {} if own else cuda_toolkit.variables(Path(sysconfig.get_path("purelib")), cache_dir())
        if cuda:  # what compiles kernels looks for ninja in PATH, too
            cuda["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), cuda["PATH"]))
        return dataclasses.replace(launch, argv=argv, variables={**own_package_variables(), **cuda, **launch.variables})


def own_package_variables() -> dict[str, str]:
    """Return the variables under which `python -m backends...` finds this package and no namesake."""
    inherited = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGE_ROOT), inherited))),
        "PYTHONSAFEPATH": "1",  # or a folder named `backends` where the runner was called would win
        "PYTHONUNBUFFERED": "1",  # the log's last lines must be there when the process dies
    }


_ENVIRONMENTS: dict[str, type[Environment]] = {"current": CurrentEnvironment}


def find(name: str) -> Environment:
    """Return an environment that needs no settings by its name. Raise ValueError for one that does not exist."""
    if name not in _ENVIRONMENTS:
        raise ValueError(f"env={name}: there is no such environment; there are: {', '.join(sorted(_ENVIRONMENTS))}")
    return _ENVIRONMENTS[name]()
