"""Finds and ends processes that are not our descendants: those of a container, which belong to its daemon."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_REMOVE_S = 30.0
_FIND_S = 5.0
# A container may come into being after the command that asked for it was killed: look again.
_AGAIN_S = (0.0, 0.5, 2.0)


def remove(
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    was_started: bool,
    seen: psutil.Process | None = None,
) -> str | None:
    """Run what ends them, until something was ended; once where all started and may have ended by itself.

    Where that fails, the daemon being gone, kill the first of them if it was `seen`: all others end with it. Return
    what went wrong where they may still run, else None.
    """
    said = "it did not answer"
    for wait_s in _AGAIN_S:
        time.sleep(wait_s)
        try:
            done = subprocess.run(
                command, env=dict(variables), capture_output=True, text=True, timeout=_REMOVE_S, check=False
            )
        except (OSError, subprocess.SubprocessError):
            continue  # the daemon hangs
        if done.returncode == 0 and (was_started or done.stdout.strip()):
            return None
        said = done.stderr.strip() if done.returncode else ""
    if not said or "No such container" in said:
        return None
    try:
        if seen is not None:
            seen.kill()
            return None
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        pass
    return f"processes of the engine may still run: {shlex.join(command)} failed: {said}"


def find(command: Sequence[str], variables: Mapping[str, str]) -> psutil.Process | None:
    """Return the first of them, None where it can't be seen from here.

    Where the daemon counts processes otherwise than we do (it or we are in a container), its number may be that of any
    process here: the name of the container in the process's control group tells.
    """
    try:
        done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, timeout=_FIND_S, check=True)
        pid, word = done.stdout.split()
        if word not in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
            return None
        return psutil.Process(int(pid))
    except (OSError, ValueError, subprocess.SubprocessError, psutil.Error):
        return None
