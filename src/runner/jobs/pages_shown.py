"""What a job's pages were made worse by (dataset.degrade), as its config says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.datasets.degraded import KINDS

KEYS = ("degrade", "degrade_strength", "degrade_seed")
_ORDER = ("", *KINDS)


class Condition(NamedTuple):
    """A kind, its random seed and its strength; they sort in the order of a table's columns."""

    place: int
    kind: str
    seed: int
    strength: float

    @property
    def named(self) -> str:
        """Return the kind, and the seed if it is not the usual one."""
        return f"{self.kind} (seed {self.seed})" if self.seed else self.kind

    def __str__(self) -> str:
        """Return `phone 0.5`."""
        return f"{self.named} {self.strength:g}" if self.kind else ""


CLEAN = Condition(0, "", 0, 0.0)


def shown(config: Mapping[str, Any]) -> Condition:
    """Return what the pages of a job were made worse by; CLEAN for null, for strength 0, and for old jobs."""
    dataset = config["dataset"]
    kind, strength = dataset.get("degrade"), float(dataset.get("degrade_strength") or 0)
    if not kind or not strength:
        return CLEAN
    place = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
    return Condition(place, str(kind), int(dataset.get("degrade_seed") or 0), strength)


def without(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dataset's config without what says how its pages are made worse."""
    return {str(name): value for name, value in dataset.items() if name not in KEYS}
