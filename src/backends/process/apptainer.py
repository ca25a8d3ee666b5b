"""Engines in Apptainer containers, for clusters where nobody may use Docker: no daemon, no root.

Its containers are children of the command that starts them, so that they are ended and measured as any engine. An image
is a SIF file, or what a registry holds (`docker://NAME`), which is made into a file once and kept:

~/.cache/vlm-runner/images/NAME-3f9a0c21d4e7.sif     ($RUNNER_IMAGES names another folder)
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from backends.api import EngineFailed, Failure, Launch
from backends.process import container_failures, gpu_claims
from backends.process.container_environment import (
    HOME,
    ContainerSettings,
    Inside,
    chosen_gpus,
    inside,
    mount_option,
    name_of,
)

logger = logging.getLogger(__name__)
_SHOWN_LINES = 8
_PASS = "APPTAINERENV_"  # noqa: S105  a variable of this prefix is one within the container, without it


class ApptainerProblem(ValueError):
    """Apptainer can't give the image; the message says why and what to do."""


def cache_dir() -> Path:
    """Return the folder of images made from registries: `$RUNNER_IMAGES` or ~/.cache/vlm-runner/images."""
    return Path(os.environ.get("RUNNER_IMAGES") or "~/.cache/vlm-runner/images").expanduser().absolute()


@dataclass(frozen=True)
class ApptainerEnvironment:
    """An image, and how its containers are run. `digest_of` names a file's content, `variables` are the engine's."""

    label: str
    settings: ContainerSettings
    digest_of: Callable[[Path], str]
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that Docker alone has."""
        settings = self.settings
        if settings.network != "host" or settings.user is not None or settings.host is not None:
            what = (
                "env.container.network, user and host are Docker's: Apptainer's containers run as you, on this network"
            )
            raise ValueError(what)

    @property
    def name(self) -> str:
        """The label and the digest: the one in the image's name, else that of the file.

        Raise ApptainerProblem where there is neither.
        """
        digest = self.settings.pinned or f"sha256:{self.digest_of(self._file(logger.info))}"
        return name_of(self.label, digest, self.variables)

    def build(self, say: Callable[[str], None]) -> None:
        """Make the file where it is missing. Raise EngineFailed where that can't be done."""
        if shutil.which("apptainer") is None:
            raise EngineFailed(Failure("start_failed", f"env={self.label}: {_NOT_INSTALLED}"))
        try:
            self._file(say)
        except ApptainerProblem as problem:
            raise EngineFailed(Failure("start_failed", f"env={self.label}: {problem}")) from problem

    def prepare(self, launch: Launch) -> Launch:
        """Return the `apptainer exec` of a new container."""
        within = inside(launch, self.settings, self.variables)
        gpus = chosen_gpus(self.settings, launch)
        # Nothing of the machine that is not named: no home, no variables, no processes of others.
        argv = [
            "apptainer",
            "--quiet",
            "exec",
            "--containall",
            "--no-privs",
            "--workdir",
            str(_workdir()),
            "--pwd",
            HOME,
        ]
        if gpus is not None:
            argv.append("--nv")
        if self.settings.shm_size:
            argv += ["--bind", "/dev/shm"]  # the machine's own, as large as it is  # noqa: S108
        for mount in within.mounts:
            argv += ["--mount", mount_option(mount, "destination", "ro")]
        argv += [str(self._file(lambda _: None)), *within.argv]
        return dataclasses.replace(
            launch,
            argv=tuple(argv),
            variables=_passed(launch, within, gpus),
            key_variable=f"{_PASS}{launch.key_variable}",
            known_failures=container_failures.OF_CONTAINERS,
        )

    def _file(self, say: Callable[[str], None]) -> Path:
        """Return the image's file, made where it is one of a registry and was not made yet."""
        image = self.settings.image
        if "://" not in image:
            file = Path(image).expanduser().absolute()
            if not file.exists():
                raise ApptainerProblem(f"there is no image {file}: docs/containers.md says how to make one")
            return file
        plain = re.sub(r"[^A-Za-z0-9.]+", "_", image.partition("://")[2])[-60:]
        file = cache_dir() / f"{plain}-{hashlib.sha256(image.encode()).hexdigest()[:12]}.sif"
        if not file.exists():
            if self.settings.pull == "never":
                raise ApptainerProblem(f"{image} was not made into a file here, and env.container.pull=never")
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{file}.lock"):
                if not file.exists():
                    _pull(image, file, say)
        return file


def _pull(image: str, file: Path, say: Callable[[str], None]) -> None:
    """Make a file of what a registry holds; it is there whole or not at all."""
    half = file.with_suffix(".half")
    command = ["apptainer", "pull", "--force", str(half), image]
    say(f"pulling {image}, which may be many GB")
    lines: list[str] = []
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                say(f"pulling {image}: {line.strip()}")
    except FileNotFoundError as error:
        raise ApptainerProblem(_NOT_INSTALLED) from error
    if process.returncode:
        half.unlink(missing_ok=True)
        said = "\n".join(lines[-_SHOWN_LINES:])
        known = container_failures.of_image(said)
        what = known.message if known else "Apptainer refused"
        raise ApptainerProblem(f"{what}\n  command: {' '.join(command)}\n  it said: {' '.join(said.split())}")
    half.replace(file)


_NOT_INSTALLED = "there is no program `apptainer` here: load its module, or take env=uv"


def _passed(launch: Launch, within: Inside, gpus: str | None) -> dict[str, str]:
    """Return the variables of the container under the names that take them there: none stands in a command line."""
    known = {**os.environ, **launch.variables}
    told = {name: known[name] for name in within.by_name if name in known}
    told |= {name: value for name, value in within.variables.items() if name != "HOME"}  # Apptainer sets it itself
    if gpus is not None and gpus != "all":
        told[gpu_claims.VARIABLE] = gpus  # --nv shows all of them
    return {f"{_PASS}{name}": value for name, value in told.items()}


def _workdir() -> Path:
    """Return the folder that holds /tmp and the home of containers: those of their own are a few MB of memory."""
    folder = Path(tempfile.gettempdir()) / f"vlm-runner-apptainer-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
