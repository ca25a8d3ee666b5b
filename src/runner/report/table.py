"""The comparison of jobs as a table of text for the terminal, and the notes that the page shows too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.base import terminal, terminal_table
from runner.base.terminal_table import MISSING, Column
from runner.jobs.costs import PER_PAGES
from runner.jobs.folder import JobFolder
from runner.jobs.results import choices, judge_names, quality_names


@dataclass(frozen=True)
class ComparisonTable:
    """A table of text with a row for each job.

    `failures` are (job, reason) of the jobs that failed, `unfinished` those of the jobs that have not ended.
    """

    columns: tuple[Column, ...]
    failures: tuple[tuple[str, str], ...]
    unfinished: tuple[tuple[str, str], ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Return the cells, row by row."""
        return tuple(zip(*(column.cells for column in self.columns), strict=True))


def comparison(results: Sequence[JobFolder]) -> ComparisonTable:
    """Return results side by side: what distinguishes the jobs, quality, latency, speed, memory, failures."""
    choice_by_job = choices(results)
    columns = [Column(key, tuple(choice[key] for choice in choice_by_job), identity=True) for key in choice_by_job[0]]
    if any(result.cut_short for result in results):
        columns.append(Column("race", tuple(result.cut_short or "all documents" for result in results), identity=True))
    columns += [
        _measured(results, name, "quality", weight)
        for name, weight in zip(quality_names(results), (100, 60), strict=False)
    ]
    columns += [
        _measured(results, name, "judge", weight) for name, weight in zip(judge_names(results), (90, 80), strict=False)
    ]
    figures = {
        "latency p50 s": ([_number(result, "latency/p50_s", ".3f") for result in results], 40),
        "p95 s": ([_number(result, "latency/p95_s", ".3f") for result in results], 70),
        "tokens/s": ([_number(result, "throughput/output_tokens_per_s", ".1f") for result in results], 30),
        **_capacity(results),
        f"{_memory_kind(results)} peak GiB": ([_memory(result) for result in results], 50),
        **_money(results),
        "failed": ([_failed(result) for result in results], 95),
    }
    columns += [Column(name, tuple(cells), weight=weight, right=True) for name, (cells, weight) in figures.items()]
    others = [
        (_words(choice), result)
        for result, choice in zip(results, choice_by_job, strict=True)
        if result.status != "finished"
    ]
    failures = tuple((name, result.error or result.status) for name, result in others if not result.is_open)
    unfinished = tuple((name, result.error or result.status) for name, result in others if result.is_open)
    return ComparisonTable(tuple(columns), failures, unfinished)


def _measured(results: Sequence[JobFolder], name: str, group: str, weight: int) -> Column:
    """Return the column of a measure: values with intervals. In narrow cells the interval is on a line of its own."""
    cells = tuple(_interval(result, name, group) for result in results)
    narrow = tuple(cell.replace(" ", "\n", 1) for cell in cells)
    heading = f"{name} [95% CI]" if group == "quality" else f"{group} {name} [95% CI]"
    return Column(heading, cells, weight=weight, narrow=narrow)


def show(results: Sequence[JobFolder]) -> None:
    """Print the comparison, the notes on its figures, and the jobs that failed or did not end with the reason."""
    compared = comparison(results)
    console = terminal.console()
    terminal_table.show(console, compared.columns, elsewhere="report.html, or metrics.json in each job's folder")
    for name, note in notes(results):
        console.print(f"note: {name}: {note}", highlight=False, markup=False, soft_wrap=True)
    for word, style, jobs in (("FAILED", "bold red", compared.failures), ("UNFINISHED", "bold", compared.unfinished)):
        for name, reason in jobs:
            console.print(f"{word}  {name}", style=style, highlight=False, markup=False)
            console.print(f"  {reason}".replace("\n", "\n  "), highlight=False, markup=False, soft_wrap=True)


def notes(
    results: Sequence[JobFolder], everywhere: str = "all jobs", except_for: str = "all jobs but {jobs}"
) -> list[tuple[str, str]]:
    """Return (jobs, note) for each distinct note on the figures. `everywhere` stands for all jobs.

    Where a note is on most of at least four jobs, the others are named in `except_for`, because their names are fewer.
    """
    choice_by_job = choices(results)
    jobs: dict[str, list[str]] = {}
    for result, choice in zip(results, choice_by_job, strict=True):
        for note in result.notes:
            jobs.setdefault(note, []).append(_words(choice))
    return [
        (_named(names, list(map(_words, choice_by_job)), everywhere, except_for), note) for note, names in jobs.items()
    ]


def _named(names: Sequence[str], every: Sequence[str], everywhere: str, except_for: str) -> str:
    if len(every) > 1 and len(names) == len(every):
        return everywhere
    others = [name for name in every if name not in names]
    if len(every) >= 4 and 0 < len(others) < len(names):
        return except_for.format(jobs="; ".join(others))
    return "; ".join(names)


def _words(choice: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in choice.items())


def _number(result: JobFolder, name: str, spec: str) -> str:
    value = result.metric(name)
    return MISSING if value is None else format(value, spec)


def _interval(result: JobFolder, measure: str, group: str = "quality") -> str:
    value, low, high = (result.metric(f"{group}/{measure}{end}") for end in ("", "/ci_low", "/ci_high"))
    if value is None:
        return MISSING
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _money(results: Sequence[JobFolder]) -> dict[str, tuple[list[str], int]]:
    """Return the column of money where a job has a price."""
    if not any(result.metric(PER_PAGES) is not None for result in results):
        return {}
    return {"USD per 1,000 pages": ([_number(result, PER_PAGES, ".3g") for result in results], 65)}


def _capacity(results: Sequence[JobFolder]) -> dict[str, tuple[list[str], int]]:
    """Return the column of pages an hour where the highest rate of a job was looked for: a figure, or its bounds."""
    if not any(result.metric("capacity/steps") is not None for result in results):
        return {}
    names = {"": "pages_per_hour", "≥ ": "at_least_pages_per_hour", "< ": "below_pages_per_hour"}
    cells = [
        ", ".join(
            f"{sign}{value:,.0f}"
            for sign, name in names.items()
            if (value := result.metric(f"capacity/{name}")) is not None
        )
        or MISSING
        for result in results
    ]
    return {"carries pages/h": (cells, 75)}


def _memory_kind(results: Sequence[JobFolder]) -> str:
    kinds = {_kind(result) for result in results} - {""}
    return kinds.pop() if len(kinds) == 1 else "memory"


def _kind(result: JobFolder) -> str:
    if "memory/gpu_peak_gib" in result.metrics:
        return "GPU"
    return "CPU" if "memory/cpu_peak_gib" in result.metrics else ""


def _memory(result: JobFolder) -> str:
    kind = _kind(result)
    return _number(result, f"memory/{kind.lower()}_peak_gib", ".2f") if kind else MISSING


def _failed(result: JobFolder) -> str:
    if result.status != "finished":
        return result.status
    total, failed = result.metric("samples/total"), result.metric("samples/failed")
    if total is None or failed is None:
        return MISSING
    return f"{failed:.0f} of {total:.0f}"
