"""`python -m runner.published SWEEP`: compares the figures of jobs with published ones of the same models.

An experiment names the file: `published: data/published/screen_annotation.yaml`. A line of the file belongs to the jobs
whose model, quantisation and prompt are those that the line names. If answers of another program were scored, it
belongs to the jobs with the line's name. A file with `leaderboard: [measures]` is a ranking: all of its lines stand in
a table together with the jobs, sorted by the first of these measures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.base import command_line, paths, terminal, terminal_table
from runner.base.errors import Problem, Refused
from runner.jobs.folder import JobFolder

KEYS = {"source", "samples", "measures", "also", "figures", "leaderboard"}
_NEIGHBOURS = 3  # lines of a leaderboard that the terminal shows above and below each job


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """A figure of a job and the published figure. `own` is None if the job didn't measure it."""

    job: str
    measure: str
    own: float | None
    low: float | None
    high: float | None
    published: float
    note: str


@dataclass(frozen=True, slots=True)
class PublishedSource:
    """The source of published figures, and the numbers of samples: `here` in the job, `there` in the source."""

    name: str
    here: int
    there: int


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a leaderboard: a published model, or a job (with its name), and the figures by measure.

    `rank` is that of a published model, by the first measure; where a job would stand, if its figure is known.
    """

    name: str
    rank: int | None
    figures: Mapping[str, float | None]
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Published models and jobs in one ranking, and the measures that are its columns."""

    source: str
    measures: Sequence[str]
    places: Sequence[Place]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Published:
    """A file of published figures: their source, its number of samples, and a note on each measure."""

    source: str
    samples: int
    notes: Mapping[str, str]
    also: Mapping[str, str]
    figures: Sequence[Mapping[str, Any]]
    leaderboard: Sequence[str] = ()

    @classmethod
    def read(cls, path: str) -> Published:
        """Read a file. Raise Refused if it is missing or has another format."""
        file = paths.resolve(path)
        if not file.is_file():
            raise Refused(Problem(f"{path} does not exist", "published", "a file as in data/published, or null"))
        content: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
        if not isinstance(content, dict) or not {"source", "samples", "figures"} <= set(content) <= KEYS:
            raise Refused(Problem("is no file of published figures", path, f"keys: {', '.join(sorted(KEYS))}"))
        known = set(content.get("measures", {}))
        if strange := {name for line in content["figures"] for name in line["values"]} - known:
            raise Refused(Problem(f"not described: {', '.join(sorted(strange))}", path, "describe it under measures"))
        board = content.get("leaderboard", [])
        if lost := [name for name in board if any(name not in line["values"] for line in content["figures"])]:
            raise Refused(Problem(f"leaderboard: not every line has {', '.join(lost)}", path, "a figure in each line"))
        return cls(
            content["source"],
            content["samples"],
            content.get("measures", {}),
            content.get("also", {}),
            content["figures"],
            tuple(board),
        )

    def compared_with(self, result: JobFolder) -> Iterator[ComparedFigure]:
        """Yield the published figures of a job, each with the job's figure of that name or of its alias in `also`."""
        for line in self.figures:
            if not _belongs(line, result):
                continue
            for measure, value in line["values"].items():
                names = [measure, *(own for own, known in self.also.items() if known == measure)]
                name = next((name for name in names if name in result.metrics), measure)
                low, high = (result.metric(f"{name}/{end}") for end in ("ci_low", "ci_high"))
                own = result.metric(name)
                yield ComparedFigure(result.name, name, own, low, high, value, self.notes[measure])

    def ranking(self, results: Sequence[JobFolder]) -> Leaderboard | None:
        """Return the leaderboard with these jobs in it; None where the file is none."""
        if not self.leaderboard:
            return None
        first = self.leaderboard[0]
        published = sorted(self.figures, key=lambda line: -float(line["values"][first]))
        places = [
            Place(line["name"], 1 + sum(other["values"][first] > line["values"][first] for other in published),
                  {name: line["values"][name] for name in self.leaderboard})
            for line in published
        ]  # fmt: skip
        for result in results:
            figures = {name: result.metric(name) for name in self.leaderboard}
            own = figures[first]
            rank = None if own is None else 1 + sum(line["values"][first] > own for line in published)
            places.append(Place(result.name, rank, figures, result.name))
        # A job stands above the published models whose figure it has; one without a figure at the end.
        places.sort(key=lambda place: (-_or_least(place.figures[first]), place.job is None))
        return Leaderboard(self.source, self.leaderboard, places, {name: self.notes[name] for name in self.leaderboard})


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def leaderboards(results: Sequence[JobFolder]) -> list[Leaderboard]:
    """Return the leaderboards that the configs of jobs name, each with the jobs that name it."""
    by_path: dict[str, list[JobFolder]] = {}
    for result in results:
        if path := result.config.get("published"):
            by_path.setdefault(str(path), []).append(result)
    boards = (Published.read(path).ranking(jobs) for path, jobs in by_path.items())
    return [board for board in boards if board is not None]


def _belongs(line: Mapping[str, Any], result: JobFolder) -> bool:
    """Tell whether a line belongs to a job: it names the job's model, quantisation and prompt, or its name."""
    named = [group for group in ("model", "quant", "prompt") if group in line]
    return line.get("name") == result.name or (
        bool(named) and all(result.config[group]["name"] == line[group] for group in named)
    )


def compare(results: Sequence[JobFolder]) -> tuple[list[ComparedFigure], list[PublishedSource]]:
    """Return the published figures of all jobs whose config names a file of them, and the sources."""
    rows: list[ComparedFigure] = []
    sources: dict[PublishedSource, None] = {}
    for result in results:
        path = result.config.get("published")
        if not path:
            continue
        published = Published.read(str(path))
        rows += published.compared_with(result)
        sources[PublishedSource(published.source, int(result.metric("samples/total") or 0), published.samples)] = None
    return rows, list(sources)


def show(results: Sequence[JobFolder]) -> bool:
    """Print the jobs' figures beside the published ones. Return whether a job names published figures."""
    rows, sources = compare(results)
    measured = [row for row in rows if row.own is not None]
    console = terminal.console()
    if measured:
        header = ("job", "figure", "here [95% CI]", "published", "here - published")
        cells = [_cells(row) for row in measured]
        terminal_table.show_rows(header, cells, identity=2, elsewhere="metrics.json in each job's folder")
        for measure, note in {row.measure: row.note for row in measured}.items():
            console.print(f"{measure}, as published: {note}", highlight=False, markup=False, soft_wrap=True)
    boards = leaderboards(results)
    for board in boards:
        _show_board(board)
    for source in sources:
        of = (
            f"n: {source.here} here, {source.there} there"
            if source.here != source.there
            else f"n: {source.here}, as there"
        )
        console.print(f"published: {source.name} ({of})", highlight=False, markup=False, soft_wrap=True)
    if sources and not measured and not boards:
        console.print("none of these figures was measured here: other models, or other measures", highlight=False)
    return bool(sources)


def _show_board(board: Leaderboard) -> None:
    """Print the best of a leaderboard, and the jobs with their neighbours."""
    own = [number for number, place in enumerate(board.places) if place.job is not None]
    near = {number for at in own for number in range(at - _NEIGHBOURS, at + _NEIGHBOURS + 1)} | set(range(_NEIGHBOURS))
    shown = [place for number, place in enumerate(board.places) if number in near]
    rows = [
        ("" if place.rank is None or place.job else str(place.rank), f"here: {place.name}" if place.job else place.name,
         *("" if value is None else f"{value:.3f}" for value in place.figures.values()))
        for place in shown
    ]  # fmt: skip
    header = ("rank", "model", *(name.removeprefix("quality/") for name in board.measures))
    terminal_table.show_rows(header, rows, identity=2, elsewhere="report.html")
    if left := len(board.places) - len(shown):
        note = f"{left} more lines of this leaderboard are in report.html"
        terminal.console().print(note, highlight=False, soft_wrap=True)


def _cells(row: ComparedFigure) -> tuple[str, ...]:
    assert row.own is not None
    interval = f" [{row.low:.3f}, {row.high:.3f}]" if row.low is not None and row.high is not None else ""
    difference = f"{row.own - row.published:+.3f}"
    return row.job, row.measure, f"{row.own:.3f}{interval}", f"{row.published:g}", difference


def main(arguments: Sequence[str]) -> int:
    """Print the figures of finished jobs beside published ones. Raise Refused if no job names published figures."""
    parser = command_line.parser("published", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of sweeps, or of jobs")
    options = parser.parse_args(arguments)
    if not show([result for folder in options.folders for result in JobFolder.below(folder)]):
        where = ", ".join(map(str, options.folders))
        raise Refused(Problem("no job here names a file of published figures", where, "run jobs with published=FILE"))
    return 0
