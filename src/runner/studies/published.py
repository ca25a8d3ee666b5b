"""`python -m runner.published SWEEP`: published figures beside one's own, where the same thing was measured.

An experiment names the file: `published: data/published/screen_annotation.yaml`. A line of it belongs to jobs with its
model, quantisation and prompt, as far as it names them, or to jobs of its name, where answers of another program were
scored. A job with another model in place of the published ones has nothing to stand beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.base import command_line, paths, terminal
from runner.base.errors import Problem, Refused
from runner.jobs.folder import JobFolder

KEYS = {"source", "samples", "measures", "also", "figures"}


@dataclass(frozen=True, slots=True)
class Beside:
    """A figure of a job and the published one. `own` is None where the job didn't measure it."""

    job: str
    measure: str
    own: float | None
    low: float | None
    high: float | None
    published: float
    note: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where published figures are from, and over how many samples: `here` of the job, `there` of the source."""

    name: str
    here: int
    there: int


@dataclass(frozen=True)
class Published:
    """A file of published figures: where they are from, over how many samples, and what to know of each measure."""

    source: str
    samples: int
    notes: Mapping[str, str]
    also: Mapping[str, str]
    figures: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: str) -> Published:
        """Read a file. Raise Refused where it is none."""
        file = paths.resolve(path)
        if not file.is_file():
            raise Refused(Problem(f"{path} does not exist", "published", "a file as in data/published, or null"))
        content: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        if not isinstance(content, dict) or not {"source", "samples", "figures"} <= set(content) <= KEYS:
            raise Refused(Problem("is no file of published figures", path, f"keys: {', '.join(sorted(KEYS))}"))
        known = set(content.get("measures", {}))
        if strange := {name for one in content["figures"] for name in one["values"]} - known:
            raise Refused(
                Problem(f"not described: {', '.join(sorted(strange))}", path, "say under measures what it is")
            )
        return cls(
            content["source"],
            content["samples"],
            content.get("measures", {}),
            content.get("also", {}),
            content["figures"],
        )

    def beside(self, result: JobFolder) -> Iterator[Beside]:
        """Yield what was published of a job, with its own figure under the same name or the one it goes by."""
        for line in self.figures:
            if not _belongs(line, result):
                continue
            for measure, value in line["values"].items():
                names = [measure, *(own for own, known in self.also.items() if known == measure)]
                name = next((name for name in names if name in result.metrics), measure)
                low, high = (result.metric(f"{name}/{end}") for end in ("ci_low", "ci_high"))
                own = result.metric(name)
                yield Beside(result.name, name, own, low, high, value, self.notes[measure])


def _belongs(line: Mapping[str, Any], result: JobFolder) -> bool:
    """Whether a line is about the same thing: the same words, or the same name where another program answered."""
    given = [group for group in ("model", "quant", "prompt") if group in line]
    return line.get("name") == result.name or all(result.config[group]["name"] == line[group] for group in given)


def compare(results: Sequence[JobFolder]) -> tuple[list[Beside], list[Source]]:
    """Return the published figures of jobs whose config names a file of them, and where they are from."""
    rows: list[Beside] = []
    sources: dict[Source, None] = {}
    for result in results:
        path = result.config.get("published")
        if not path:
            continue
        found = Published.read(str(path))
        rows += found.beside(result)
        sources[Source(found.source, int(result.metric("samples/total") or 0), found.samples)] = None
    return rows, list(sources)


def show(results: Sequence[JobFolder]) -> bool:
    """Print the published figures beside the jobs' own. Return whether there was anything to say."""
    from rich.table import Table

    rows, sources = compare(results)
    measured = [row for row in rows if row.own is not None]
    console = terminal.console()
    if measured:
        table = Table(header_style="bold")
        table.add_column("job")
        table.add_column("figure")
        for name in ("here [95% CI]", "published", "here - published"):
            table.add_column(name, justify="right")
        for row in measured:
            assert row.own is not None
            interval = f" [{row.low:.3f}, {row.high:.3f}]" if row.low is not None and row.high is not None else ""
            difference = f"{row.own - row.published:+.3f}"
            table.add_row(row.job, row.measure, f"{row.own:.3f}{interval}", f"{row.published:g}", difference)
        console.print(table)
        for measure, note in {row.measure: row.note for row in measured}.items():
            console.print(f"{measure}, as published: {note}", highlight=False, markup=False, soft_wrap=True)
    for one in sources:
        of = f"n: {one.here} here, {one.there} there" if one.here != one.there else f"n: {one.here}, as there"
        console.print(f"published: {one.name} ({of})", highlight=False, markup=False, soft_wrap=True)
    if sources and not measured:
        console.print("none of these figures was measured here: other models, or other measures", highlight=False)
    return bool(sources)


def main(arguments: Sequence[str]) -> int:
    """Print published figures beside those of finished jobs."""
    parser = command_line.parser("published", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of sweeps, or of jobs")
    given = parser.parse_args(arguments)
    if not show([result for folder in given.folders for result in JobFolder.below(folder)]):
        where = ", ".join(map(str, given.folders))
        raise Refused(Problem("no job here names a file of published figures", where, "run jobs with published=FILE"))
    return 0
