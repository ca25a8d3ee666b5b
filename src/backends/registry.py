"""Backends by name.

Each is an entry point of the group `runner.backends`, our own as well as those of others:

[project.entry-points."runner.backends"]
hf = "backends.hf:HfBackend"
"""

from __future__ import annotations

import functools
import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

from backends.api import Backend

GROUP = "runner.backends"


def names() -> tuple[str, ...]:
    """Return the names of all installed backends, sorted."""
    return tuple(sorted({point.name for point in _installed(tuple(sys.path))}))


def find(name: str) -> Backend:
    """Return the backend called `name`. Raise ValueError where there is none, or it can't be loaded."""
    installed = _installed(tuple(sys.path)).select(name=name)
    found = {point.value: point for point in installed}  # an editable install may list twice
    if not found:
        known = ", ".join(names()) or "none; is the package installed?"
        raise ValueError(f"backend={name}: there is no such backend; installed are: {known}")
    if len(found) > 1:
        claims = ", ".join(_origin(point) for point in found.values())
        raise ValueError(f"backend={name}: several packages provide it ({claims}); uninstall all but one")
    point = next(iter(found.values()))
    try:
        backend = point.load()()
    except Exception as error:  # anything may go wrong in somebody else's package, and names the one to blame
        raise ValueError(
            f"backend={name}: {_origin(point)} can't be loaded: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(backend, Backend):
        raise ValueError(f"backend={name}: {_origin(point)} lacks methods of backends.api.Backend")  # noqa: TRY004
    return backend


@functools.cache
def _installed(_path: tuple[str, ...]) -> EntryPoints:
    """Read what packages offer once for each search path: to read all of them takes 7 ms."""
    return entry_points(group=GROUP)


def _origin(point: EntryPoint) -> str:
    return f"{point.value} of {point.dist.name if point.dist else 'an unknown package'}"
