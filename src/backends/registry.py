"""Backends by name.

Each is an entry point of the group `runner.backends`, our own as well as those of others:

[project.entry-points."runner.backends"]
hf = "backends.hf:HfBackend"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from backends.api import Backend

GROUP = "runner.backends"


def names() -> tuple[str, ...]:
    """Return the names of all installed backends, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def find(name: str) -> Backend:
    """Return the backend called `name`. Raise ValueError where there is none, or it can't be loaded."""
    found = {point.value: point for point in entry_points(group=GROUP, name=name)}  # an editable install may list twice
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


def _origin(point: EntryPoint) -> str:
    return f"{point.value} of {point.dist.name if point.dist else 'an unknown package'}"
