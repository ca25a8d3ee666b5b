"""Finds the configs, the demo files that are shipped with the runner, and the store; resolves relative paths."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # src/runner, or the installed package


def conf_dir() -> Path:
    """Return the folder of configs: `$RUNNER_CONF`, else ./conf, else that of the repository or the wheel."""
    candidates = [Path.cwd() / "conf", PACKAGE.parents[1] / "conf", PACKAGE / "bundled" / "conf"]
    if chosen := os.environ.get("RUNNER_CONF"):
        candidates = [Path(chosen).expanduser()]
    for folder in candidates:
        if (folder / "config.yaml").is_file():
            return folder.resolve()
    raise SystemExit(
        "no conf/config.yaml found. Looked in:\n"
        + "\n".join(f"  {folder}" for folder in candidates)
        + "\nRun from the repository, or set RUNNER_CONF to a folder of configs."
    )


def root() -> Path:
    """Return the folder that contains the `assets/` and `data/` which the shipped configs name."""
    repository = PACKAGE.parents[1]
    return repository if (repository / "assets" / "demo_models").is_dir() else PACKAGE / "bundled"


def resolve(path: str) -> Path:
    """Return a config's path as an absolute one: from the working directory, else from `root()` if it exists there."""
    expanded = Path(path).expanduser()
    if expanded.is_absolute() or expanded.exists():
        return expanded.absolute()
    shipped = root() / expanded
    return shipped if shipped.exists() else expanded.absolute()


def nearest(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists, where it would be made."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def store_dir() -> Path:
    """Return the folder of the store of generations: `$RUNNER_STORE`, else multirun/.store."""
    return Path(os.environ.get("RUNNER_STORE", "multirun/.store")).expanduser().absolute()
