"""What engines in containers have in common: which image, what is mounted into it, what its server is told.

Paths are the same within a container as outside, so that a command line means the same in both. What the command names
is mounted read-only, and so are the hub's cache and our package `backends`: the code that serves is the runner's own,
as in every other environment, and an image brings the packages that it needs.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from backends.api import Launch
from backends.process import gpu_claims
from backends.process.environments import PACKAGE_ROOT

CODE = "/opt/vlm-runner"  # holds the package `backends` within a container; docker/hf.Dockerfile has it there, too
HOME = "/tmp"  # noqa: S108  a tmpfs of the container's own
# Variables of ours that an engine may need, passed on where they are set: by name, for they may hold secrets.
PASSED_ON = (
    "HF_TOKEN",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    *(
        name
        for pair in (("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("NO_PROXY", "no_proxy"))
        for name in pair
    ),
)
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


@dataclass(frozen=True)
class ContainerSettings:
    """The settings `env.container.*`.

    `image` is a name with tag or digest, for Apptainer also a file. `gpus` is `auto` (those that are visible here),
    `all`, `none` or indexes. `network` is `host`, or the name of a network of Docker's, from which the port is
    published on 127.0.0.1. `user` is `uid:gid`, None for ours, or `image` for the image's own. `mounts` are
    `FOLDER[:PLACE][:rw]`. `python` is the image's interpreter. `host` is the daemon's socket, None for the one that the
    client takes by itself.
    """

    image: str
    gpus: str = "auto"
    network: str = "host"
    user: str | None = None
    shm_size: str | None = None
    mounts: tuple[str, ...] = ()
    python: str = "python3"
    pull: Literal["missing", "never"] = "missing"
    host: str | None = None

    @property
    def pinned(self) -> str | None:
        """The digest that the image's name holds, None where it names a tag or a file."""
        match = _DIGEST.search(self.image)
        return match[1] if match else None


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine within a container."""

    source: Path
    target: str
    is_writable: bool = False


@dataclass(frozen=True)
class Inside:
    """What is started within a container: its command, its variables and its mounts.

    `by_name` are variables that are taken from the environment of the client.
    """

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    by_name: tuple[str, ...] = ()


def inside(launch: Launch, settings: ContainerSettings, variables: Mapping[str, str]) -> Inside:
    """Return what `launch` is within a container of these settings."""
    argv = launch.argv
    serves_ours = argv[:2] == ("python", "-m") and argv[2].startswith("backends.")
    if argv[0] == "python":
        argv = (settings.python, *argv[1:])
    variables = {
        "HOME": HOME,
        "USER": "runner",  # or a uid without an entry in the image's /etc/passwd has no name, and torch asks for it
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_CACHE": str(hub_cache()),
        **({"PYTHONPATH": CODE} if serves_ours else {}),
        **variables,
    }
    ours = [Mount(PACKAGE_ROOT / "backends", f"{CODE}/backends")] if serves_ours else []
    wanted = [*(parse_mount(text) for text in settings.mounts), *ours, Mount(hub_cache(), str(hub_cache()))]
    wanted += [Mount(path, str(path)) for path in _named(argv[1:])]
    by_name = [launch.key_variable, *launch.variables, *(name for name in PASSED_ON if name in os.environ)]
    left = tuple(dict.fromkeys(name for name in by_name if name != gpu_claims.VARIABLE))
    return Inside(argv, _without_doubles(wanted), variables, left)


def name_of(label: str, digest: str, variables: Mapping[str, str]) -> str:
    """Return `LABEL@sha256:...`; the variables count, too: they may decide what an engine answers."""
    if not variables:
        return f"{label}@{digest}"
    return f"{label}@{digest}.{hashlib.sha256(json.dumps(dict(variables), sort_keys=True).encode()).hexdigest()[:6]}"


def parse_mount(text: str) -> Mount:
    """Read `FOLDER[:PLACE][:ro|rw]`. Raise ValueError for what is not there or can't be a place."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 1 and parts[-1] in ("ro", "rw") else "ro"
    source = Path(parts[0]).expanduser().absolute()
    target = parts[1] if len(parts) == 2 else str(source)
    if len(parts) > 2 or not target.startswith("/"):
        raise ValueError(f"env.container.mounts: {text!r} has not the form FOLDER[:PLACE][:rw]")
    if not source.exists():
        raise ValueError(f"env.container.mounts: there is no {source}")
    return Mount(source, target, mode == "rw")


def chosen_gpus(settings: ContainerSettings, launch: Launch) -> str | None:
    """Return which GPUs a container gets: `all`, indexes or ids with commas, None for none.

    Those that its engine has claimed (pool.gpus) win; within the container they count from 0.
    """
    claimed = launch.variables.get(gpu_claims.VARIABLE)
    if claimed is not None:
        return claimed or None
    if settings.gpus == "none":
        return None
    if settings.gpus != "auto":
        return settings.gpus
    if not (visible := gpu_claims.visible()):
        return None
    return ",".join(visible) if gpu_claims.VARIABLE in os.environ else "all"


def listening_everywhere(argv: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return a server's command changed so that a port published from a network of its own reaches it, and the port.

    Raise ValueError for a command that names none.
    """
    given = list(argv)
    if "--port" not in given:
        raise ValueError("env.container.network: only `host` is possible, for the engine's command names no --port")
    port = given[given.index("--port") + 1]
    if "--host" in given:
        at = given.index("--host")
        del given[at : at + 2]
    return (*given, "--host", "0.0.0.0"), port  # noqa: S104  of the container's own network


@functools.cache
def hub_cache() -> Path:
    """Return the folder of the hub's cache, made where there is none: what is not there can't be mounted."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _named(argv: Sequence[str]) -> list[Path]:
    """Return the files and folders of this machine that a command names, as `/path` or `name=/path`.

    With what their links lead to: a snapshot in the hub's cache is a folder of links.
    """
    targets = []
    for word in argv:
        path = Path(word if word.startswith("/") else word.partition("=")[2])
        if path.is_absolute() and path.exists():
            targets += [path, *_beyond(path)]
    return targets


def _beyond(path: Path) -> set[Path]:
    """Return the folders outside of `path` that links within it lead to, those on the way included."""
    links = [path, *path.rglob("*")] if path.is_dir() else [path]
    targets = {target for link in links if link.is_symlink() for target in _followed(link)}
    return {target if target.is_dir() else target.parent for target in targets if not target.is_relative_to(path)}


def _followed(link: Path) -> Iterator[Path]:
    """Yield where a link leads to, link by link, and in the end: a link to a link needs both."""
    end = link.resolve()
    while link.is_symlink():
        link = Path(os.path.normpath(link.parent / link.readlink()))
        if link.exists():  # not where `..` follows another link
            yield link
    yield end


def _without_doubles(mounts: Sequence[Mount]) -> tuple[Mount, ...]:
    """Drop what an earlier mount already shows at the same place."""
    kept: list[Mount] = []
    for mount in mounts:
        shown = any(
            Path(mount.target).is_relative_to(mounted.target)
            and mounted.source / Path(mount.target).relative_to(mounted.target) == mount.source
            for mounted in kept
        )
        if not shown:
            kept.append(mount)
    return tuple(kept)


def mount_option(mount: Mount, target: str, read_only: str) -> str:
    """Write a mount for --mount, which reads a line of CSV. Docker and Apptainer name two of its fields differently."""
    fields = ["type=bind", f"source={mount.source}", f"{target}={mount.target}"]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields if mount.is_writable else [*fields, read_only])
    return line.getvalue()


def with_variables(launch: Launch, argv: Sequence[str]) -> Launch:
    """Return `launch` under another command, without the variable that would hide a container's GPUs from it."""
    left = {name: value for name, value in launch.variables.items() if name != gpu_claims.VARIABLE}
    return dataclasses.replace(launch, argv=tuple(argv), variables=left)
