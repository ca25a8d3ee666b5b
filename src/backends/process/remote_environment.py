"""Engines on machines that are started for them and given back: rented GPUs, a cluster's node, a colleague's computer.

Everything that is special to a provider is a command of the config (`RemoteSettings`), run on this machine. The engine
serves on 127.0.0.1 there; the `run` command, or a `tunnel` of its own, brings the port here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.api import EngineFailed, Failure, Launch, Undo
from backends.known_failures import known
from backends.process import paid_time
from backends.process.environments import own_package_variables
from backends.process.remote_machine import (
    PORT,
    READY,
    TIME_IS_OVER,
    VARIABLE,
    on_the_machine,
    unknown_placeholders,
)

_COMMANDS = ("start", "address", "wait", "tunnel", "run", "stop")
# What a command may name: the address is known when the machine has started, its port and command in the end.
_KNOWN = {"start": {"name"}, "stop": {"name"}, "address": {"name"}, "wait": {"name", "address"}}
_LEAST_S = 1.0
_UNMEASURED = (
    "the engine ran on a remote machine: its processes' memory and energy were not measured, and latencies include the "
    "way there"
)
_TIME_IS_OVER = known(rf"(?m)^remote: ({TIME_IS_OVER}: [^\n]*)", "{name}", "over_budget")


@dataclass(frozen=True)
class RemoteSettings:
    """How a machine is had and left. Commands are words, in which {name}, {address}, {port}, {command} are filled in.

    `start` ends when the machine is there; the last line it prints, or that `address` prints, is the {address}, else
    its {name}. `wait` is repeated until it succeeds. `run` runs {command} there, `stop` gives the machine back. Hours
    and USD are limits on all machines of this environment that one process starts, in sum.
    """

    start: tuple[str, ...]
    run: tuple[str, ...]
    stop: tuple[str, ...]
    address: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()
    tunnel: tuple[str, ...] = ()
    python: str = "python3"  # of the machine
    folders: Mapping[str, str] = field(default_factory=dict)  # a folder here -> the same there
    pass_variables: tuple[str, ...] = ()  # of this process, that the engine gets
    start_timeout_s: float = 1200.0
    stop_timeout_s: float = 600.0
    max_hours: float = 4.0
    price_per_hour: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for commands that can't be meant, and for a limit that can't be held."""
        for step in _COMMANDS:
            words = getattr(self, step)
            if step in ("start", "run", "stop") and not words:
                raise ValueError(f"env.remote.{step}: a command is needed, as a list of words")
            if unknown := unknown_placeholders(words):
                raise ValueError(f"env.remote.{step}: there is no {{{unknown[0]}}}; {{name}} is the machine's")
            known = _KNOWN.get(step)
            for name in ("address", "port", "command"):
                if known is not None and name not in known and any(f"{{{name}}}" in word for word in words):
                    raise ValueError(f"env.remote.{step}: {{{name}}} is not known yet, {{name}} is")
        if not any("{command}" in word for word in self.run):
            raise ValueError("env.remote.run: {command} is missing, the engine's own command")
        if not any("{name}" in word for word in self.stop):
            raise ValueError("env.remote.stop: {name} is missing: it must stop the machine that was started, no other")
        if self.max_cost is not None and not self.price_per_hour:
            raise ValueError("env.remote.max_cost: it needs env.remote.price_per_hour, in USD")

    @property
    def limit_hours(self) -> float:
        """How long machines may run, by time and money."""
        if self.max_cost is None or not self.price_per_hour:
            return self.max_hours
        return min(self.max_hours, self.max_cost / self.price_per_hour)

    @property
    def limit(self) -> str:
        """Which limit that is, for people."""
        if self.max_cost is not None and self.price_per_hour and self.max_cost / self.price_per_hour < self.max_hours:
            return f"env.remote.max_cost={self.max_cost:g} USD at {self.price_per_hour:g} USD an hour"
        return f"env.remote.max_hours={self.max_hours:g}"


@dataclass(frozen=True)
class RemoteEnvironment:
    """A kind of machine; each engine gets one of its own. `records` is a folder for those that run.

    Relative paths in commands are those of `cwd`. `share` engines run side by side, and divide what the limit leaves.
    """

    label: str
    settings: RemoteSettings
    records: Path
    cwd: Path
    variables: Mapping[str, str] = field(default_factory=dict)  # of the engine, there
    share: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError for a variable that can't be handed over."""
        for name, value in self.variables.items():
            if "\n" in value:
                raise ValueError(f"env.variables.{name}: a line break can't be handed to another machine")
        for name in self.settings.pass_variables:
            if "\n" in os.environ.get(name, ""):
                what = f"${name} holds a line break, which can't be handed to another machine"
                raise ValueError(f"env.remote.pass_variables: {what}")

    @property
    def name(self) -> str:
        """Its label and the hash of what decides the software there: commands, the files they name, variables."""
        given = self.settings
        total = hashlib.sha256()
        parts = [given.start, given.run, given.python, sorted(given.folders.items()), sorted(self.variables.items())]
        total.update(json.dumps(parts).encode())
        for word in given.start:
            if (file := self.cwd / word).is_file():
                total.update(file.read_bytes())
        return f"{self.label}@{total.hexdigest()[:12]}"

    def build(self, say: Callable[[str], None]) -> None:
        """Do nothing: a machine is started with its engine."""

    def prepare(self, launch: Launch) -> Launch:
        """Return the command that starts a machine and runs `launch` there.

        Raise EngineFailed where time or money are used up.
        """
        given = self.settings
        left_s = (given.limit_hours - paid_time.hours(self.name)) * 3600 / self.share
        if left_s < _LEAST_S:
            raise EngineFailed(Failure("over_budget", f"no machine is started any more: {self._used_up()}"))
        name = f"vlm-{secrets.token_hex(4)}"
        argv = [self._there(word) for word in launch.argv]
        if argv[0] == "python":
            argv[0] = given.python
        ours = own_package_variables()
        settings = {
            **{step: getattr(given, step) for step in _COMMANDS},
            "values": {"name": name, "command": on_the_machine(argv)},
            "variables": {**launch.variables, **self.variables},
            "pass_variables": given.pass_variables,
            "key_variable": launch.key_variable,
            "before": {variable: os.environ.get(variable) for variable in ours},
            "cwd": str(self.cwd),
            "start_timeout_s": given.start_timeout_s,
            "limit_s": left_s,
            "limit": f"{TIME_IS_OVER}: {self._used_up()}",
        }
        undo = Undo(
            name=name,
            what=f"the machine {name}",
            argv=tuple(word.replace("{name}", name) for word in given.stop),
            warning=f"THE MACHINE {name} MAY STILL RUN AND COST MONEY",
            doing=f"giving back the machine {name}",
            cwd=str(self.cwd),
            timeout_s=given.stop_timeout_s,
            timeout_key="env.remote.stop_timeout_s",
            record=str(self.records / f"{name}.json"),
            account=self.name,
            price_per_hour=given.price_per_hour,
        )
        return dataclasses.replace(
            launch,
            argv=(sys.executable, "-m", "backends.process.remote_machine"),
            variables={**ours, VARIABLE: json.dumps(settings)},
            port_variable=PORT,
            ready_marker=READY,
            known_failures=(_TIME_IS_OVER,),
            shown=f"{shlex.join(given.start).replace('{name}', name)}; there: {shlex.join(argv)}",
            unmeasured=_UNMEASURED,
            undo=undo,
        )

    def _used_up(self) -> str:
        side = f", divided among {self.share} engines side by side" if self.share > 1 else ""
        return f"{self.settings.limit} is used up ({self.label}{side})"

    def _there(self, word: str) -> str:
        """Return a path of this machine as it is called on the other, where it lies in a folder that is on both."""
        for here, there in self.settings.folders.items():
            folder = os.path.normpath(self.cwd / Path(here).expanduser())
            if word == folder or word.startswith(folder + os.sep):
                return there + word[len(folder) :]
        return word
