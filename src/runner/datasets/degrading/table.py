"""Reads conf/degrade.yaml: which effects make a kind of page, in which order, and how strong each is at strength 1."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from runner.base import paths
from runner.base.errors import Problem, Refused

FILE = "degrade.yaml"
# The numbers of each effect, and between which values each lies.
AMOUNTS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "tilt": {"corner": (0, 0.4)},  # beyond it opposite corners meet
    "skew": {"degrees": (0, 45)},
    "shade": {"lost": (0, 1)},
    "blur": {"radius": (0, 0.1)},
    "noise": {"levels": (0, 255)},
    "resample": {"scale": (0.01, 1)},
    "paper": {"levels": (0, 255)},
    "contrast": {"lost": (0, 1)},
    "speckle": {"per_million": (0, 100_000)},
    "bilevel": {"across_dpi": (1, 1200), "down_dpi": (1, 1200), "drift": (0, 1)},
    "lost_lines": {"share": (0, 1)},
    "jpeg": {"quality": (1, 95)},
}
LAST = "jpeg"  # it is the file that is sent
MOVING = ("tilt", "skew")


@dataclass(frozen=True, slots=True)
class Step:
    """An effect and its numbers at strength 1."""

    effect: str
    amounts: Mapping[str, float]


def steps(kind: str) -> tuple[Step, ...]:
    """Return the effects of a kind in order. Raise Refused where conf/degrade.yaml has no such kind, or is wrong."""
    file = paths.conf_dir() / FILE
    return _steps(file, file.stat().st_mtime_ns if file.is_file() else 0, kind)


def moves(kind: str) -> bool:
    """Say whether places of the page are elsewhere afterwards."""
    return any(step.effect in MOVING for step in steps(kind))


@functools.lru_cache(maxsize=16)
def _steps(file: Path, _modified: int, kind: str) -> tuple[Step, ...]:
    try:
        table = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"can't be read, and dataset.degrade={kind} needs it: {error.strerror or error}"
        raise Refused(Problem(what, str(file), "the shipped one lies in conf/; or dataset.degrade=null")) from error
    except yaml.YAMLError as error:
        raise Refused(Problem(f"no YAML: {error}", str(file))) from error
    effects = table.get(kind) if isinstance(table, dict) else None
    if not isinstance(effects, dict) or not effects:
        raise Refused(Problem(f"has no effects of {kind!r}", str(file), "a line for each effect, as the shipped file"))
    if problems := list(_problems(effects, f"{file}: {kind}")):
        raise Refused(problems)
    return tuple(Step(name, {key: float(value) for key, value in amounts.items()}) for name, amounts in effects.items())


def _problems(effects: Mapping[str, object], where: str) -> Iterator[Problem]:
    for place, (name, amounts) in enumerate(effects.items()):
        wanted = AMOUNTS.get(name)
        if wanted is None:
            yield Problem(f"{name!r} is no effect", where, f"one of: {', '.join(AMOUNTS)}")
            continue
        if not isinstance(amounts, dict) or set(amounts) != set(wanted):
            yield Problem(f"{amounts!r} is not valid", f"{where}.{name}", f"needed: {', '.join(wanted)}")
            continue
        if name == LAST and place != len(effects) - 1:
            yield Problem("is the file that is sent", f"{where}.{name}", "put it last")
        for key, (least, most) in wanted.items():
            value = amounts[key]
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                yield Problem(f"{value!r} is not valid", f"{where}.{name}.{key}", f"from {least:g} to {most:g}")
