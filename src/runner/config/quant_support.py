"""The table conf/quant_support.yaml: which quantisation works on which backend, for which models, on which GPUs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from runner.base import paths

FILE = "quant_support.yaml"
CPU = {"run": "ran on a CPU", "source": "by source", "no": "not on a CPU", "unknown": "CPU: unknown"}


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """What is known of one quantisation on one backend; the head of conf/quant_support.yaml explains each key.

    `capability` is the lowest compute capability, as NVIDIA writes it (8.9), None for any GPU that the engine itself
    takes; `below` is the lowest that is too new.
    """

    source: str
    cpu: str = "unknown"
    refused: str | None = None
    instead: str | None = None
    capability: float | None = None
    below: float | None = None
    only: str | None = None
    why: str | None = None
    but: tuple[str, ...] = ()
    unless: str | None = None
    packages: tuple[str, ...] = ()
    packages_from: tuple[tuple[float, tuple[str, ...]], ...] = ()
    note: str | None = None

    def runs_on(self, capability: float | None) -> bool:
        """Say whether a GPU of this capability is one for it; None: on a CPU, by run or by source."""
        if capability is None:
            return self.cpu in ("run", "source")
        return (self.capability or 0.0) <= capability < (self.below or float("inf"))

    @property
    def gpus(self) -> str:
        """Say which GPUs it runs on: `GPU 7.5 or newer, below 10.0`."""
        least = f"GPU {self.capability} or newer" if self.capability else "any GPU"
        return f"{least}, below {self.below}" if self.below else least

    def packages_on(self, capability: float | None) -> tuple[str, ...]:
        """Return the packages that are needed on a GPU of this capability; None stands for no GPU."""
        more = (names for least, names in self.packages_from if capability is not None and capability >= least)
        return (*self.packages, *(name for names in more for name in names))


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """The whole table: backend -> the release that was read, and quantisation -> backend -> cell."""

    releases: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Cell]]

    def find(self, quant: str, backend: str) -> Cell | None:
        """Return a cell; None where nothing is known of the pair."""
        return self.cells.get(quant, {}).get(backend)


def load() -> Table:
    """Return the table of the folder of configs in use; an own folder without one has an empty table."""
    return _load(paths.conf_dir() / FILE)


@functools.lru_cache(maxsize=4)
def _load(file: Path) -> Table:
    if not file.is_file():
        return Table({}, {})
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    cells = {
        quant: {backend: _cell(f"{quant}.{backend}", given) for backend, given in row.items()}
        for quant, row in content["quantisations"].items()
    }
    return Table(content["releases"], cells)


def _cell(name: str, given: Mapping[str, Any]) -> Cell:
    """Read a cell. Raise ValueError for a key or a word that the table doesn't have."""
    known = {field.name for field in dataclasses.fields(Cell)}
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{FILE}, {name}: unknown keys {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    values = dict(given)
    if values.get("cpu", "unknown") not in CPU:
        raise ValueError(f"{FILE}, {name}: cpu={values['cpu']} is none of {', '.join(CPU)}")
    for key in ("but", "packages"):
        values[key] = tuple(values.get(key, ()))
    values["packages_from"] = tuple(
        (float(least), tuple(names)) for least, names in given.get("packages_from", {}).items()
    )
    return Cell(**values)


def page() -> str:
    """Return the table as the Markdown of docs/models.md."""
    table = load()
    lines = ["| quantisation | " + " | ".join(f"`{backend}`" for backend in table.releases) + " |"]
    lines.append("|---|" + "---|" * len(table.releases))
    lines += [
        f"| `{quant}` | " + " | ".join(_shown(row.get(backend)) for backend in table.releases) + " |"
        for quant, row in table.cells.items()
    ]
    sources = [
        f"- `{quant}`, `{backend}`: {cell.source}"
        for quant, row in table.cells.items()
        for backend, cell in row.items()
    ]
    return "\n".join(
        [*lines, "", "Where each cell is written, in the release that the environments install:", "", *sources, ""]
    )


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "not looked at"
    if cell.refused:
        return f"**no**: {cell.refused}; {cell.instead}"
    return "; ".join(_told(cell))


def _told(cell: Cell) -> Iterator[str]:
    """Yield what a reader of the table must know of a pair that works."""
    yield cell.gpus
    yield CPU[cell.cpu]
    if cell.only == "text":
        but = f" and {', '.join(cell.but)}" if cell.but else ""
        yield f"**models of text alone{but}**: {cell.why}; {cell.instead}"
    if cell.packages:
        yield "needs " + ", ".join(f"`{package}`" for package in cell.packages)
    for least, names in cell.packages_from:
        yield f"from {least} on needs " + ", ".join(f"`{package}`" for package in names)
    if cell.note:
        yield cell.note
