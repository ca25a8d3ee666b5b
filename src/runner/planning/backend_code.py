"""Names the code that decides what an engine is told: when it changes, stored answers are not taken for today's."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

# How a request becomes bytes, and a stream an answer, whatever the backend.
ALWAYS = ("backends.wire", "backends.events", "backends.stream", "backends.chunks", "backends.reasoning")
# Imported by backends, and without a say in what is asked or answered: figures, failures in words, types.
WITHOUT_A_SAY = ("backends", "backends.api", "backends.prometheus", "backends.failures", "backends.known_failures")


@functools.cache
def digest(backend: type) -> str:
    """Hash a backend's module, what that imports of its own top-level package, and `ALWAYS`."""
    total = hashlib.sha256()
    for name in sorted({*_with_siblings(backend.__module__), *ALWAYS}):
        if (file := _file(name)) is not None:
            total.update(name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def _with_siblings(module: str) -> set[str]:
    """Return a module and all that it imports, directly or not, from the same top-level package."""
    modules: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        has_no_say = name in WITHOUT_A_SAY or name.endswith("_failures")
        if name in modules or has_no_say or (file := _file(name)) is None:
            continue
        modules.add(name)
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        imported = _imports(ast.parse(file.read_bytes()), package)
        waiting += [other for other in imported if other.partition(".")[0] == module.partition(".")[0]]
    return modules


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the modules that a module may import; a name imported from one may be a module itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            given = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(given, package) if node.level else given
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """Return a module's source file, None where the name is no module or has no source."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # its parent is no package
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None
