"""Names that other packages import from before the rooms: `runner.errors` is `runner.base.errors` now.

A dataset reader or a metric of a third party that was written against the old names goes on working. Both names give
the same module, so that an error which is raised under one is caught under the other.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

MOVED = {
    "runner.errors": "runner.base.errors",
    "runner.paths": "runner.base.paths",
    "runner.datasets.config": "runner.config.dataset",
    "runner.prompts.config": "runner.config.prompt",
    "runner.answer_files": "runner.jobs.answer_files",
    "runner.judging": "runner.scoring.judging",
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module under its old name by importing it under its new one."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the signature of a finder
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if new_name(fullname) else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        name = new_name(spec.name)
        assert name is not None
        module = importlib.import_module(name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back. It was executed under its new name."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def new_name(name: str) -> str | None:
    """Return what a module, or one below it, is called now; None where it has not moved."""
    for old, new in MOVED.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return None


def install() -> None:
    """Make the old names importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # before a moved package finds its modules a second time
