"""Keeps old module names importable: `runner.errors` is now called `runner.base.errors`.

A third party's dataset reader or metric that imports an old name keeps working. Both names give the same module object,
so an error class that is imported by one name is caught by the other.
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
    """Finds a module by its old name, by importing it by its new name."""

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
        """Restore the module's own spec. The module itself was executed when it was imported by its new name."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def new_name(name: str) -> str | None:
    """Return the new name of a module that was moved, or of a module inside a moved package; else None."""
    for old, new in MOVED.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return None


def install() -> None:
    """Make the old names importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # first, else a moved package would load its modules a second time
