"""Engines in Docker containers: the image by its digest, started attached, removed by name.

The container runs as the runner's user without any of root's capabilities, sees what it needs read-only, and has a
/tmp of its own. `docker run` stays in the foreground below the watchdog: its output is the engine's, and its end the
engine's end. The container itself is the daemon's child, so that the watchdog removes it by name.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from backends.api import EngineFailed, Failure, Launch, Undo
from backends.process import container_failures
from backends.process.container_environment import (
    HOME,
    ContainerSettings,
    chosen_gpus,
    inside,
    listening_everywhere,
    mount_option,
    name_of,
    parse_mount,
    with_variables,
)
from backends.redaction import problem

logger = logging.getLogger(__name__)
_ASK_S = 60.0
_LABEL = "vlm-runner=engine"
_SHOWN_LINES = 8
# A container may come into being after the command that asked for it was killed: look again.
_REMOVE_AFTER_S = (0.0, 0.5, 2.0)
_NOT_HERE = ("no such image", "no such object")


class DockerProblem(ValueError):
    """Docker can't give the image; the message says why and what to do."""


@dataclass(frozen=True)
class Image:
    """An image of this machine's daemon."""

    id: str  # sha256:..., of its configuration: what `docker run` takes, whatever its names mean by now
    digest: str  # what a registry calls it; the id where no registry ever had it


@dataclass(frozen=True)
class DockerEnvironment:
    """An image, and how its containers are run. `variables` are set for the engine."""

    label: str
    settings: ContainerSettings
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that can't be."""
        for text in self.settings.mounts:
            parse_mount(text)
        host = self.settings.host or os.environ.get("DOCKER_HOST", "")
        if host and not host.startswith("unix://"):
            what = f"the Docker daemon at {host} is another machine's, which sees neither the models nor this address"
            raise ValueError(f"{what}: env.container.host must be unix:///PATH; env=remote starts engines elsewhere")

    @property
    def name(self) -> str:
        """The label and the image's digest. A tag that is not here yet is pulled, since nothing else knows its content.

        Raise DockerProblem where that can't be done.
        """
        digest = self.settings.pinned or self._image(logger.info).digest
        return name_of(self.label, digest, self.variables)

    def build(self, say: Callable[[str], None]) -> None:
        """Pull the image where it is missing. Raise EngineFailed where that can't be done."""
        try:
            self._image(say)
        except DockerProblem as problem:
            raise EngineFailed(Failure("start_failed", f"env={self.label}: {problem}")) from problem

    def prepare(self, launch: Launch) -> Launch:
        """Return the `docker run` of a new container, and what removes it."""
        settings, name = self.settings, f"vlm-runner-{secrets.token_hex(8)}"
        within = inside(launch, settings, self.variables)
        docker, command = self._docker, within.argv
        # --pull=never: what runs is the image that the answers' identity names.
        argv = [*docker, "run", "--rm", "--init", "--pull=never", "--name", name, "--label", _LABEL]
        argv += ["--cap-drop=ALL", "--security-opt=no-new-privileges", "--workdir", HOME]
        argv += ["--tmpfs", f"{HOME}:rw,exec,nosuid,nodev,mode=1777"]
        argv += ["--log-driver=none"]  # the daemon would keep what the engine says, with the secrets in it
        if settings.network != "host":
            command, port = listening_everywhere(command)
            argv += ["--publish", f"127.0.0.1:{port}:{port}"]
        argv += ["--network", settings.network]
        if settings.user != "image":
            argv += ["--user", settings.user or f"{os.getuid()}:{os.getgid()}"]
        if settings.shm_size:
            argv += ["--shm-size", settings.shm_size]
        if gpus := chosen_gpus(settings, launch):
            argv += ["--gpus", gpus if gpus == "all" else f'"device={gpus}"']
        for mount in within.mounts:
            argv += ["--mount", mount_option(mount, "target", "readonly")]
        # Everybody may read command lines, and what comes from our environment (`${oc.env:...}`) may be a secret.
        ours = set(os.environ.values())
        hidden = {name: value for name, value in self.variables.items() if value in ours or problem(name, value)}
        for variable, value in within.variables.items():
            argv += ["--env", variable if variable in hidden else f"{variable}={value}"]
        for variable in (*within.by_name, "RUNNER_ENGINE_TAG"):  # the client takes the value from its own environment
            argv += ["--env", variable]
        argv += ["--entrypoint", command[0], self._image(lambda _: None).id, *command[1:]]
        undo = Undo(
            name=name,
            what=f"the container {name}",
            argv=(*docker, "rm", "--force", "--volumes", name),
            warning="processes of the engine may still run",
            waits_s=_REMOVE_AFTER_S,
            prints=True,
            absent="No such container",
            find=(*docker, "inspect", "--type", "container", "--format", "{{.State.Pid}} {{.Id}}", name),
        )
        complete = with_variables(launch, argv)
        failures = container_failures.OF_CONTAINERS
        return dataclasses.replace(
            complete, variables={**complete.variables, **hidden}, known_failures=failures, undo=undo
        )

    @property
    def _docker(self) -> tuple[str, ...]:
        return ("docker", "--host", self.settings.host) if self.settings.host else ("docker",)

    def _image(self, say: Callable[[str], None]) -> Image:
        name = self.settings.image
        if (inspected := inspect(self._docker, name)) is not None:
            return inspected
        if self.settings.pull == "never":
            raise DockerProblem(
                f"there is no image {name} here, and env.container.pull=never: build it (docs/containers.md), load it "
                "(docker load), or name another with env.container.image=NAME"
            )
        pull(self._docker, name, say)
        inspect.cache_clear()
        if (inspected := inspect(self._docker, name)) is None:
            raise DockerProblem(f"docker pull {name} ended well, and the image is not there")
        return inspected


@functools.lru_cache(maxsize=32)
def inspect(docker: tuple[str, ...], name: str) -> Image | None:
    """Return an image of the daemon, None where it has none so called. Raise DockerProblem where it can't be asked."""
    command = [*docker, "image", "inspect", "--format", "{{json .Id}} {{json .RepoDigests}}", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except FileNotFoundError as error:
        raise DockerProblem(
            "there is no program `docker` here: install Docker, or take env=uv or env=apptainer"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DockerProblem(f"the Docker daemon did not answer within {_ASK_S:.0f} s") from error
    if done.returncode:
        if any(words in done.stderr.lower() for words in _NOT_HERE):
            return None
        raise DockerProblem(_explained(done.stderr, command))
    identity, _, digests = done.stdout.strip().partition(" ")
    repository = name.partition("@")[0]
    known = [
        digest for digest in json.loads(digests) or () if digest.partition("@")[0] in (repository, _untagged(name))
    ]
    return Image(json.loads(identity), known[0].partition("@")[2] if known else json.loads(identity))


def engines() -> list[str]:
    """Return the names of the containers that hold engines of any runner, as far as the usual daemon can be asked."""
    command = ["docker", "ps", "--all", "--filter", f"label={_LABEL}", "--format", "{{.Names}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.split() if done.returncode == 0 else []


def label_of(docker: tuple[str, ...], image: str, label: str) -> str | None:
    """Return what a label of an image says, None where it has none. The image is pulled where it is missing.

    Raise DockerProblem where it can't be had.
    """
    if inspect(docker, image) is None:
        pull(docker, image, logger.info)
        inspect.cache_clear()
    template = f'{{{{index .Config.Labels "{label}"}}}}'
    command = [*docker, "image", "inspect", "--format", template, image]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=False)
    return (done.stdout.strip() or None) if done.returncode == 0 else None


def pull(docker: tuple[str, ...], name: str, say: Callable[[str], None]) -> None:
    """Pull an image; `say` hears how far it is. Raise DockerProblem where that fails."""
    command = [*docker, "pull", name]
    say(f"pulling {name}, which may be many GB")
    lines: list[str] = []
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            layers: dict[str, bool] = {}
            for line in process.stdout:
                lines.append(line.rstrip())
                layer, _, state = line.strip().partition(": ")
                if state in ("Pulling fs layer", "Pull complete", "Already exists"):
                    layers[layer] = state != "Pulling fs layer"
                    say(f"pulling {name}: {sum(layers.values())} of {len(layers)} layers")
    except FileNotFoundError as error:
        raise DockerProblem("there is no program `docker` here") from error
    if process.returncode:
        raise DockerProblem(_explained("\n".join(lines[-_SHOWN_LINES:]), command))


def _untagged(name: str) -> str:
    """Return a name without its tag; the colon of a registry's port is none."""
    front, _, last = name.partition("@")[0].rpartition("/")
    return f"{front}/{last.partition(':')[0]}" if front else last.partition(":")[0]


def _explained(words: str, command: list[str]) -> str:
    known = container_failures.of_image(words)
    said = " ".join(words.split()) or "nothing"
    return f"{known.message if known else 'Docker refused'}\n  command: {' '.join(command)}\n  it said: {said}"
