"""What works on this machine, and what to do about what does not.

python -m runner.doctor                        all checks; ends with 1 where one failed
python -m runner.doctor envs                   the environments that env=uv has built
python -m runner.doctor envs --prune           removes those that no file of conf/env names as it is now
python -m runner.doctor envs --prune vllm_cpu  ... and these; `all` for every one
python -m runner.doctor image=NAME             starts an engine image, asks the demo questions; 1 where it is not well
python -m runner.doctor image=NAME backend=vllm model=... ...  with other words of `python -m runner`
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
from rich.console import Console

from backends.process import built_environments, docker, undoing
from backends.process.environments import cache_dir
from backends.process.uv_environment import UvEnvironment
from runner.base import command_line, machine, paths, terminal
from runner.base.errors import Refused
from runner.base.tracking_address import default_uri, ui_command
from runner.config import Config, EnvConfig, quant_support
from runner.planning import environments, gpu_findings, image_check, server_findings
from runner.planning.finding import Finding
from runner.planning.hub import cache_folder

_GIB = 2**30
_ROOM_GIB = 10  # for an environment of vLLM with CUDA, while it is built
_MEMORY_GIB = 4  # what vLLM on a CPU takes with the demo model
_ASK_S = 5.0
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def quantisations() -> Iterator[Finding]:
    """Apply the table of quantisations to the best GPU of this machine, or to its CPU."""
    table = quant_support.load()
    best = max(machine.compute_capabilities(), default=None)
    where = f"on GPUs of compute capability {best}" if best is not None else "on a CPU"
    for backend, release in table.releases.items():
        works: list[str] = []
        text: list[str] = []
        not_here: list[str] = []
        for quant, row in table.cells.items():
            cell = row.get(backend)
            if cell is None or cell.refused or not cell.runs_on(best):
                not_here.append(quant)
            else:
                (text if cell.only else works).append(quant)
        what = f"backend={backend} {where}: quant={', '.join(works)}" + (
            f"; text models: {', '.join(text)}" if text else ""
        )
        yield Finding(
            "ok", f"{what}; not: {', '.join(not_here) or 'none left'} (by the source of {release}; docs/models.md)"
        )


def containers() -> Iterator[Finding]:
    """Ask Docker and Apptainer."""
    for name, asked in (("docker", ["docker", "version", "--format", "{{.Server.Version}}"]), ("apptainer", None)):
        if shutil.which(name) is None:
            yield Finding("warn", f"{name} is not installed", "needed only to run engines in its images; env=uv works")
            continue
        try:
            done = subprocess.run(asked or [name, "--version"], check=False, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.SubprocessError) as error:
            yield Finding("warn", f"{name} does not answer: {error}", f"start it, or use env=uv instead of {name}")
            continue
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            remedy = "start the daemon, or let your user into the group docker; env=uv works without"
            yield Finding("warn", f"{name}: {words[-1] if words else 'failed'}", remedy)
        else:
            yield Finding("ok", f"{name} {done.stdout.strip()}")
            if name == "docker" and (engines := docker.engines()):
                names = ", ".join(engines)
                what = f"engines in containers, of runners that run or were killed with their watchdog: {names}"
                yield Finding("warn", what, "docker rm --force NAME removes one that nobody uses any more")


def room() -> Iterator[Finding]:
    """Measure disk and memory."""
    for purpose, folder in (("environments ($RUNNER_ENVS)", cache_dir()), ("the store", paths.store_dir())):
        existing = paths.nearest(folder)
        free = shutil.disk_usage(existing).free / _GIB
        if not os.access(existing, os.W_OK):
            yield Finding("fail", f"{folder} for {purpose} can't be written", "choose another folder")
            continue
        short = free < _ROOM_GIB
        remedy = f"below {_ROOM_GIB} GiB: python -m runner.doctor envs --prune, or another disk" if short else ""
        yield Finding("warn" if short else "ok", f"disk for {purpose}: {free:.0f} GiB free", remedy)
    free = psutil.virtual_memory().available / _GIB
    total = psutil.virtual_memory().total / _GIB
    short = free < _MEMORY_GIB
    remedy = f"below {_MEMORY_GIB} GiB, which vLLM on a CPU takes with a demo model" if short else ""
    yield Finding("warn" if short else "ok", f"memory: {free:.0f} of {total:.0f} GiB free, {machine.cpu()}", remedy)


def recognition() -> Iterator[Finding]:
    """Look for tesseract, which prompt.ocr and model=tesseract_rus need."""
    from backends.ocr_engines import OcrMissing, tesseract

    try:
        yield Finding("ok", f"tesseract {tesseract.version()}, languages: {', '.join(tesseract.installed())}")
    except OcrMissing as missing:
        yield Finding("warn", f"{missing.what}: no model=tesseract_rus and no prompt.ocr", missing.remedy)


def hub() -> Iterator[Finding]:
    """Look for the model hub and its cache."""
    from huggingface_hub import constants

    cache = cache_folder()
    cached = sorted(path.name.removeprefix("models--").replace("--", "/") for path in cache.glob("models--*"))
    yield Finding("ok", f"{len(cached)} cached models in {cache}: {', '.join(cached) or 'none'}")
    if constants.HF_HUB_OFFLINE:
        yield Finding("ok", "the hub is switched off (HF_HUB_OFFLINE)")
        return
    problem = _unreachable(constants.ENDPOINT)
    if problem is None:
        token = "with HF_TOKEN" if os.environ.get("HF_TOKEN") else "without HF_TOKEN: gated models will be refused"
        yield Finding("ok", f"the hub answers, {token}")
    else:
        remedy = "demo models need none; else copy a cache and set HF_HOME, or give model.path=FOLDER"
        yield Finding("warn", f"the hub can't be reached: {problem}", remedy)


def tracking() -> Iterator[Finding]:
    """Ask the tracking server."""
    uri = default_uri()
    if not uri.startswith("http"):
        look = f"; look at them with: {command}" if (command := ui_command(uri)) else ""
        yield Finding("ok", f"results are tracked in {uri.rpartition('@')[2]}{look}")
        return
    problem = _unreachable(f"{uri.rstrip('/')}/health")
    shown = uri.rpartition("@")[2]
    if problem is None:
        yield Finding("ok", f"the tracking server {shown} answers")
    else:
        remedy = "jobs run all the same; upload them later: python -m runner.sync"
        yield Finding("fail", f"the tracking server {shown} does not answer: {problem}", remedy)


def built() -> Iterator[Finding]:
    """Look at the built environments."""
    found = built_environments.every()
    whole = [one for one in found if one.whole]
    yield Finding("ok", f"{len(whole)} built environments: {', '.join(one.folder.name for one in whole) or 'none'}")
    if half := [one.folder.name for one in found if not one.whole]:
        yield Finding("warn", f"half-built: {', '.join(half)}", "python -m runner.doctor envs --prune")


def machines() -> Iterator[Finding]:
    """Look for rented machines that were not given back."""
    for rented in undoing.left(environments.machine_records()):
        where = f"rented from {rented.host} at {time.strftime('%Y-%m-%d %H:%M', time.localtime(rented.started_at))}"
        if rented.host == platform.node():
            yield Finding("fail", f"{where}, nobody looks after it", rented.warning)
        else:
            remedy = f"unless a runner there uses it: {rented.warning}"
            yield Finding("warn", f"{where}: {rented.name}", remedy)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    gpu_findings.gpus,
    gpu_findings.compilers,
    quantisations,
    room,
    hub,
    recognition,
    server_findings.servers,
    containers,
    built,
    machines,
    tracking,
)


def check_all(console: Console) -> int:
    """Show every finding; return 1 where one failed."""
    failed = False
    for check in CHECKS:
        for finding in check():
            failed |= finding.status == "fail"
            colour = _COLOURS[finding.status]
            console.print(f"[{colour}]{finding.status:4}[/]  ", end="")
            console.print(finding.what, markup=False, highlight=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"      -> {finding.remedy}", markup=False, highlight=False, soft_wrap=True)
    return int(failed)


def list_environments(console: Console, prune: list[str] | None) -> int:
    """Show the built environments; `prune` names labels to remove besides the outdated. Return 1 where one stayed."""
    current = _current()
    left = False
    for one in built_environments.every():
        state = "half-built" if not one.whole else "current" if one.folder in current else "outdated"
        built_at = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.built_at)) if one.built_at else "-"
        outcome = ""
        size = one.gib()
        if prune is not None and (state != "current" or one.label in prune or "all" in prune):
            problem = built_environments.remove(one)
            left |= problem is not None
            outcome = "  removed" if problem is None else f"  stays: {problem}"
        line = f"{one.folder.name:40} {state:10} {size:6.2f} GiB  {built_at}  {one.requirements}{outcome}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"in {cache_dir()}; files that uv's own cache shares count here, too", markup=False, soft_wrap=True)
    return int(left)


def _current() -> set[Path]:
    """Return the folders that the files of conf/env lead to as they are now."""
    folders = set()
    for file in (paths.conf_dir() / "env").glob("*.yaml"):
        try:
            config = Config(env=EnvConfig(name="auto"))
            config.backend.env = file.stem
            found = environments.resolve(config)
        except Refused:
            continue  # `auto` itself, and `uv`, which names no requirements of its own
        if isinstance(found, UvEnvironment):
            folders.add(found.folder)
    return folders


def _unreachable(url: str) -> str | None:
    """Ask an address; return why there is no answer. Any answer, be it a refusal, is one."""
    try:
        with urllib.request.urlopen(url, timeout=_ASK_S):  # noqa: S310  the address is the user's own
            return None
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def main(given: Sequence[str]) -> int:
    """Look at this machine, its environments or an image. Return 1 where a check failed."""
    if given and given[0].startswith("image="):
        return image_check.check(given[0].removeprefix("image="), given[1:])
    parser = command_line.parser("doctor", __doc__)
    commands = parser.add_subparsers(dest="command")
    envs = commands.add_parser("envs", help="list the environments that env=uv has built")
    envs.add_argument("--prune", nargs="*", metavar="LABEL", help="remove outdated ones, and those named; `all`")
    arguments = parser.parse_args(given)
    console = terminal.console()
    if arguments.command == "envs":
        return list_environments(console, arguments.prune)
    return check_all(console)
