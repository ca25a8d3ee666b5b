"""Where things lie: the configs, the demo files that come with the runner, and what a relative path means."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # src/runner, or the installed package


def conf_dir() -> Path:
    """Return the folder of configs: `$RUNNER_CONF`, ./conf, the repository's, or the one within the wheel."""
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
    """Return the folder that `assets/` and `data/` of the shipped configs are relative to."""
    repository = PACKAGE.parents[1]
    return repository if (repository / "assets" / "demo_models").is_dir() else PACKAGE / "bundled"


def resolve(path: str) -> Path:
    """Find a path from a config: absolute, from the working directory, or from `root()`; the first that exists."""
    given = Path(path).expanduser()
    if given.is_absolute() or given.exists():
        return given.absolute()
    shipped = root() / given
    return shipped if shipped.exists() else given.absolute()


def store_dir() -> Path:
    """Return the folder of stored generations: `$RUNNER_STORE` or multirun/.store."""
    return Path(os.environ.get("RUNNER_STORE", "multirun/.store")).expanduser().absolute()
