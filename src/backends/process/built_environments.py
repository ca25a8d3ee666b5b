"""What lies in the folder of built environments: a list of it, and its removal."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from backends.process.environments import cache_dir
from backends.process.uv_environment import BUILT

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Built:
    """One folder. `whole` is false where its build was interrupted, or goes on now."""

    folder: Path
    label: str
    digest: str
    requirements: str
    built_at: float | None
    whole: bool

    def gib(self) -> float:
        """Return its size; uv links files from its own cache, so removing it may free less."""
        return sum(path.lstat().st_blocks * 512 for path in self.folder.rglob("*") if not path.is_symlink()) / _GIB

    def in_use(self) -> bool:
        """Whether a process runs from it."""
        inside = f"{self.folder}/"
        for process in psutil.process_iter():
            try:
                if any(part.startswith(inside) for part in process.cmdline()[:1]):
                    return True
            except psutil.Error:
                continue
        return False


def every() -> list[Built]:
    """Return all environments in the cache, whole ones and half-built ones, by name."""
    root = cache_dir()
    if not root.is_dir():
        return []
    return [_read(path) for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def remove(built: Built) -> str | None:
    """Remove an environment with its log. Return why not, where it is being built or in use."""
    try:
        with FileLock(f"{built.folder}.lock", timeout=0):
            if built.in_use():
                return "a process runs from it"
            (built.folder / BUILT).unlink(missing_ok=True)  # first: a removal cut short must not look whole
            shutil.rmtree(built.folder)
    except Timeout:
        return "it is being built"
    except OSError as error:
        return str(error)
    Path(f"{built.folder}.log").unlink(missing_ok=True)
    return None


def _read(folder: Path) -> Built:
    label, _, digest = folder.name.rpartition("-")
    try:
        record = json.loads((folder / BUILT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Built(folder, label, digest, "", None, whole=False)
    return Built(folder, label, digest, str(record.get("requirements", "")), record.get("built_at"), whole=True)
