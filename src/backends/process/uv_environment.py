"""Environments built by uv from a requirements file and kept under the hash of all that decides their content.

~/.cache/vlm-runner/envs/vllm_cpu-3f9a0c21d4e7/             the environment ($RUNNER_ENVS names another folder)
~/.cache/vlm-runner/envs/vllm_cpu-3f9a0c21d4e7/.built.json  written last: without it the environment is half-built
~/.cache/vlm-runner/envs/vllm_cpu-3f9a0c21d4e7.log          what uv said
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backends.api import EngineFailed, Failure, Launch
from backends.process import cuda_toolkit, uv_commands
from backends.process.environments import PACKAGE_ROOT, cache_dir

Say = Callable[[str], None]
BUILT = ".built.json"
_LOCK_POLL_S = 5.0


@dataclass(frozen=True)
class UvEnvironment:
    """An environment of its own for one engine.

    `overlays` are folders whose content is laid over site-packages after the installation; `remove` names packages
    that are uninstalled again; `commands` are run last, in site-packages; `variables` are set for the engine and cause
    no rebuild, `{site}` in them is its site-packages. `python` is a version or an interpreter; None is the one that
    runs now.
    """

    label: str
    requirements: Path
    python: str | None = None
    overlays: tuple[Path, ...] = ()
    remove: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for files that are not there."""
        if not self.requirements.is_file():
            raise ValueError(f"env.requirements: there is no file {self.requirements}")
        for overlay in self.overlays:
            if not overlay.is_dir():
                raise ValueError(f"env.overlays: there is no folder {overlay}")

    @functools.cached_property
    def digest(self) -> str:
        """Name the content: requirements and what they include, Python, machine, overlays, removals, commands.

        Where packages come from (pip's and uv's own configuration) is left out: it differs between machines that
        install the same. What must differ belongs into the requirements, as `torch==2.13.0+cpu` does.
        """
        total = hashlib.sha256()
        decisive: list[Any] = [self.python or platform.python_version(), sys.platform, platform.machine()]
        total.update(json.dumps([*decisive, sorted(self.remove), self.commands]).encode())
        files = [*with_includes(self.requirements), *(file for overlay in self.overlays for file in _files(overlay))]
        for file in files:
            total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return total.hexdigest()[:12]

    @property
    def name(self) -> str:
        """Return the label and the digest; the variables count here, too: they may decide what an engine answers."""
        if not self.variables:
            return f"{self.label}@{self.digest}"
        variables = hashlib.sha256(json.dumps(dict(self.variables), sort_keys=True).encode()).hexdigest()[:6]
        return f"{self.label}@{self.digest}.{variables}"

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return cache_dir() / f"{self.label}-{self.digest}"

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    def is_built(self) -> bool:
        """Whether it can be used."""
        return (self.folder / BUILT).is_file()

    def build(self, say: Say) -> None:
        """Build it where it is missing; of several processes one builds and the others wait."""
        if self.is_built():
            return
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder, say):
                if not self.is_built():
                    self._build(say)
        except OSError as error:
            raise EngineFailed(Failure("start_failed", f"env={self.label} can't be built: {error}")) from error

    def prepare(self, launch: Launch) -> Launch:
        """Put this environment's Python in the place of `python`. Of ours it sees the package `backends` alone.

        An nvcc among its packages is the one that its engine compiles with; `variables` may name another CUDA_HOME.
        """
        argv = launch.argv
        needs_backends = argv[:2] == ("python", "-m") and argv[2].startswith("backends.")
        if argv[0] == "python":
            argv = (str(self.interpreter), *argv[1:])
        cuda = cuda_toolkit.variables(self.site_packages(), cache_dir())
        variables = {
            **cuda,
            "VIRTUAL_ENV": str(self.folder),
            "PATH": os.pathsep.join((str(self.folder / "bin"), cuda.get("PATH") or os.environ.get("PATH", ""))),
            # Not the runner's: its packages would win over those of this environment.
            "PYTHONPATH": str(_only_backends()) if needs_backends else "",
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        }
        ours = {
            name: value.replace("{site}", str(self.site_packages())) if "{site}" in value else value
            for name, value in self.variables.items()
        }
        return dataclasses.replace(launch, argv=argv, variables={**variables, **ours, **launch.variables})

    def _build(self, say: Say) -> None:
        began = time.monotonic()
        if self.folder.exists():  # somebody was interrupted half-way
            shutil.rmtree(self.folder)
        log = self.folder.with_name(self.folder.name + ".log")
        say(f"building env={self.label}: {self.folder}")
        uv = uv_commands.Uv(log, lambda line: say(f"building env={self.label}: {line}"))
        try:
            uv.run("venv", "--quiet", "--python", self.python or sys.executable, str(self.folder))
            into = ("--python", str(self.interpreter))
            uv.run("pip", "install", *into, "--requirements", str(self.requirements))
            if self.remove:
                uv.run("pip", "uninstall", *into, *self.remove)
            packages = uv.run("pip", "freeze", *into, quiet=True).splitlines()
            for overlay in self.overlays:
                shutil.copytree(overlay, self.site_packages(), dirs_exist_ok=True, ignore=_NO_CACHES)
            for command in self.commands:
                uv.run_other(shlex.split(command), self.site_packages())
        except uv_commands.UvFailed as failed:
            shutil.rmtree(self.folder, ignore_errors=True)
            message = f"env={self.label} could not be built from {self.requirements}\n{failed}"
            raise EngineFailed(Failure("start_failed", message)) from failed
        self._mark_as_built(packages, time.monotonic() - began)
        say(f"built env={self.label} in {time.monotonic() - began:.0f} s")

    def site_packages(self) -> Path:
        """Where its packages are; it must have been built."""
        return next((self.folder / "lib").glob("python*/site-packages"))

    def _mark_as_built(self, packages: list[str], seconds: float) -> None:
        """Write the record through a rename, so that it is whole or absent."""
        record = {
            "label": self.label,
            "digest": self.digest,
            "requirements": str(self.requirements),
            "built_at": time.time(),
            "seconds": round(seconds, 1),
            "packages": [line for line in packages if "==" in line or " @ " in line],
        }
        half = self.folder / f"{BUILT}.half"
        half.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        half.replace(self.folder / BUILT)


_NO_CACHES = shutil.ignore_patterns("__pycache__")


def _locked(folder: Path, say: Say) -> FileLock:
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    while True:
        try:
            lock.acquire(timeout=_LOCK_POLL_S)
        except Timeout:
            say(f"waiting for another process that builds {folder.name}")
        else:
            lock.release()  # the context manager takes it again
            return lock


def with_includes(requirements: Path) -> Iterator[Path]:
    """Yield a requirements file and those that it names with -r or -c."""
    yield requirements
    for line in requirements.read_text(encoding="utf-8").splitlines():
        option, _, rest = line.strip().partition(" ")
        if option in ("-r", "-c", "--requirement", "--constraint"):
            yield from with_includes(requirements.parent / rest.split("#")[0].strip())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _only_backends() -> Path:
    """Return a folder that holds a link to the package `backends` and nothing else of the runner's environment."""
    folder = cache_dir() / f".path-{hashlib.sha256(str(PACKAGE_ROOT).encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "backends"
    if not link.exists():
        half = folder / f"backends.{os.getpid()}"
        half.unlink(missing_ok=True)
        half.symlink_to(PACKAGE_ROOT / "backends", target_is_directory=True)
        half.replace(link)
    return folder
