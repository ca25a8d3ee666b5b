"""Runs uv, told what pip is told on this machine: uv itself does not read pip's configuration."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_SHOWN_LINES = 20
_PIP_TIMEOUT_S = 60

# pip's option -> uv's variable. Variables and not flags: an index address may hold a password.
_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
_COMMA_SEPARATED = ("UV_FIND_LINKS",)  # the others are separated by spaces, as pip's are


class UvFailed(Exception):
    """A command of uv failed; the message holds it, its last lines and where the rest is."""


class Uv:
    """uv's commands, with its output kept in `log` and passed on line by line."""

    def __init__(self, log: Path, say: Callable[[str], None]) -> None:
        """Begin an empty log."""
        self._log, self._say = log, say
        self._environment = {**os.environ, **variables(pip_options(), os.environ), "NO_COLOR": "1"}
        self._environment.pop("VIRTUAL_ENV", None)  # the runner's own; the one to fill is always named
        log.write_text("", encoding="utf-8")

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """Run one command and return what it prints; a `quiet` one passes nothing on. Raise UvFailed where it fails."""
        return self._run([_binary(), *arguments], None, quiet)

    def run_other(self, command: list[str], folder: Path) -> str:
        """Run another command in `folder`, as uv's are run. Raise UvFailed where it fails."""
        try:
            return self._run(command, folder, quiet=False)
        except OSError as error:
            raise UvFailed(f"  command: {shlex.join(command)}\n  {error}") from error

    def _run(self, command: list[str], folder: Path | None, quiet: bool) -> str:
        lines: list[str] = []
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {shlex.join(command)}\n")
            with subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    log.write(line)
                    if line.strip():
                        lines.append(line.rstrip())
                        if not quiet:
                            self._say(line.strip())
        if process.returncode:
            last = "\n".join(f"    {line}" for line in lines[-_SHOWN_LINES:])
            raise UvFailed(f"  command: {shlex.join(command)}\n  end of {self._log}:\n{last}")
        return "\n".join(lines)


def variables(options: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Translate pip's options to uv's variables; what the user has set for uv wins."""
    told: dict[str, str] = {}
    for option, value in options.items():
        name = _VARIABLES.get(option)
        if name and name not in present:
            told[name] = ",".join(map(_link, value.split())) if name in _COMMA_SEPARATED else " ".join(value.split())
    if "UV_INDEX" in told and "UV_INDEX_STRATEGY" not in present:
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip, too, takes the best version of all its indexes
    return told


def _link(place: str) -> str:
    """Spell a folder or address so that uv, which splits the variable at commas, takes one with a comma as one.

    uv 0.13.9 reads %2C in a `file:` address as a comma. A blank in a folder's name is %20 for pip already, which
    splits its own configuration at blanks.
    """
    if "://" in place or place.startswith("file:"):
        return place.replace(",", "%2C")
    folder = Path(place).expanduser()
    return folder.absolute().as_uri() if "," in place else str(folder)


def parse_pip_config(text: str) -> dict[str, str]:
    """Read `pip config list`: `global.find-links='/wheels'`, `:env:.find-links='/wheels'`; the last wins, as in pip."""
    options: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        section, _, option = key.strip().rpartition(".")
        if not equals or section not in ("global", "install", ":env:"):
            continue
        try:
            options[option] = str(ast.literal_eval(value))
        except (ValueError, SyntaxError):
            continue
    return options


def pip_options() -> dict[str, str]:
    """Ask pip for its configuration; without pip there is none to follow."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    # :env: overrides install, which overrides global.
    rank = {"global": 0, "install": 1, ":env:": 2}
    lines = sorted(done.stdout.splitlines(), key=lambda line: rank.get(line.split("=")[0].rpartition(".")[0], 0))
    return parse_pip_config("\n".join(lines))


def _binary() -> str:
    try:
        from uv import find_uv_bin
    except ImportError as error:
        raise UvFailed("  uv is not installed in the runner's environment: pip install uv") from error
    return os.fsdecode(find_uv_bin())
