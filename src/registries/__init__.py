"""Registries of backends, metrics, dataset readers and charts: the built-in ones, and those of other packages.

Other packages offer theirs as entry points. All registries follow one rule: a name belongs to one thing. An entry point
that takes the name of a built-in thing, or the name of another package's thing, makes this name unusable. Looking it
up raises an error that names both. All other names go on working.

`backends` and `metrics` must not import each other, and both need a registry. So the class is in a package of its own
below both. It imports the standard library only.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


class RegistryError(ValueError):
    """A name can't be used; the message says what would be valid, or whom to blame."""


class UnknownName(RegistryError):
    """Nothing has this name."""


class NameTaken(RegistryError):
    """Several things claim this name."""


class NotLoadable(RegistryError):
    """What has this name can't be imported."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who offers a thing under a name: `target` is `module:object`, `package` the distribution it comes with."""

    target: str
    package: str

    def __str__(self) -> str:
        """Return both, for messages."""
        return f"{self.target} ({self.package})"


@dataclass(frozen=True)
class Registry:
    """Things of one kind by name. `kind` is the word for messages, `group` that of the entry points."""

    kind: str
    group: str
    built_in: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Return all names: the built-in ones in their order, then those of other packages, sorted."""
        return tuple(dict.fromkeys([*self.built_in, *sorted(entry.name for entry in offered(self.group))]))

    def find(self, name: str) -> Claim:
        """Return who offers a name, without importing it. Raise UnknownName or NameTaken."""
        claims = {self.built_in[name]: Claim(self.built_in[name], "built in")} if name in self.built_in else {}
        for entry in offered(self.group):
            if entry.name == name:  # an editable installation may list the same twice
                package = entry.dist.name if entry.dist is not None else "unknown package"
                claims.setdefault(entry.value, Claim(entry.value, package))
        if not claims:
            known = sorted(self.names())
            listed = ", ".join(known) or "none"
            raise UnknownName(f"unknown {self.kind} {name!r}{hint(name, known)}; known: {listed}")
        if len(claims) > 1:
            claimants = " and ".join(map(str, claims.values()))
            raise NameTaken(f"two {self.kind}s are called {name!r}: {claimants}; uninstall or rename one")
        return next(iter(claims.values()))

    def load(self, name: str) -> Any:
        """Import what has a name. Raise UnknownName, NameTaken or NotLoadable."""
        claim = self.find(name)
        module, _, attribute = claim.target.partition(":")
        try:
            loaded: Any = importlib.import_module(module)
            for part in attribute.split("."):
                loaded = getattr(loaded, part)
        except Exception as error:  # anything may go wrong in somebody else's package, and names the one to blame
            why = f"{type(error).__name__}: {error}"
            raise NotLoadable(f"{self.kind} {name!r} can't be loaded from {claim}: {why}") from error
        return loaded


def offered(group: str) -> Sequence[EntryPoint]:
    """Return the entry points of a group in all installed packages."""
    return _installed(group, tuple(sys.path))


@functools.cache
def _installed(group: str, _path: tuple[str, ...]) -> Sequence[EntryPoint]:
    """Read the entry points of packages once for each search path: reading all of them takes 7 ms, five times a job."""
    from importlib.metadata import entry_points  # slow to import, so only when a name is looked up

    return tuple(entry_points(group=group))


def hint(word: str, candidates: Iterable[str]) -> str:
    """Return `` (did you mean ...?)`` for a name that is nearly one of the candidates, else nothing."""
    close = difflib.get_close_matches(str(word), list(candidates), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
