"""The comparison as rows of text: used by the terminal and by the page, so that both say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.report.results import Result, choices, judge_names, quality_names

MISSING = "–"


@dataclass(frozen=True)
class Comparison:
    """A table of text: a header, and a row for each job; `failures` say what failed and why."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    failures: tuple[tuple[str, str], ...]


def comparison(results: Sequence[Result]) -> Comparison:
    """Lay out results side by side: what distinguishes the jobs, quality, latency, speed, memory, failures."""
    told = choices(results)
    measures, judged = quality_names(results), judge_names(results)
    header = [
        *told[0],
        *(f"{name} [95% CI]" for name in measures),
        *(f"judge {name} [95% CI]" for name in judged),
        "latency p50 s",
        "p95 s",
        "tokens/s",
        f"{_memory_kind(results)} peak GiB",
        "failed",
    ]
    rows = []
    for result, choice in zip(results, told, strict=True):
        row = [*choice.values(), *(_interval(result, name) for name in measures)]
        row += [_interval(result, name, "judge") for name in judged]
        row += [_number(result, f"latency/p{p}_s", ".3f") for p in (50, 95)]
        row += [_number(result, "throughput/output_tokens_per_s", ".1f"), _memory(result), _failed(result)]
        rows.append(tuple(row))
    failures = tuple(
        (_words(choice), result.error or result.status)
        for result, choice in zip(results, told, strict=True)
        if result.status != "finished"
    )
    return Comparison(tuple(header), tuple(rows), failures)


def show(results: Sequence[Result]) -> None:
    """Print the comparison, what failed and why, and what must be known to read the figures."""
    compared = comparison(results)
    console = _console()
    table = Table(title=None, header_style="bold")
    for position, name in enumerate(compared.header):
        table.add_column(name, justify="left" if position < len(compared.header) - 5 else "right")
    for row in compared.rows:
        table.add_row(*(Text(cell) for cell in row))  # not markup: a prompt may hold brackets
    console.print()
    console.print(table)
    for name, note in notes(results):
        console.print(f"note: {name}: {note}", highlight=False, markup=False, soft_wrap=True)
    for name, reason in compared.failures:
        console.print(f"FAILED  {name}", style="bold red", highlight=False, markup=False)
        console.print(f"  {reason}".replace("\n", "\n  "), highlight=False, markup=False, soft_wrap=True)


def notes(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Return what must be known to read the figures: which jobs, and the note; one that many share comes once."""
    told = choices(results)
    jobs: dict[str, list[str]] = {}
    for result, choice in zip(results, told, strict=True):
        for note in result.notes:
            jobs.setdefault(note, []).append(_words(choice))
    everywhere = len(results) if len(results) > 1 else 2
    return [("all jobs" if len(names) == everywhere else "; ".join(names), note) for note, names in jobs.items()]


def _words(choice: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in choice.items())


def say(text: str) -> None:
    """Print a line to standard output, never wrapped, so that it can be copied."""
    _console().print(text, highlight=False, markup=False, soft_wrap=True)


def _console() -> Console:
    import sys

    # Where there is no terminal to ask for its width, a log keeps the table whole.
    return Console(width=None if sys.stdout.isatty() else 160)


def _number(result: Result, name: str, spec: str) -> str:
    value = result.metric(name)
    return MISSING if value is None else format(value, spec)


def _interval(result: Result, measure: str, group: str = "quality") -> str:
    value, low, high = (result.metric(f"{group}/{measure}{end}") for end in ("", "/ci_low", "/ci_high"))
    if value is None:
        return MISSING
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _memory_kind(results: Sequence[Result]) -> str:
    kinds = {_kind(result) for result in results} - {""}
    return kinds.pop() if len(kinds) == 1 else "memory"


def _kind(result: Result) -> str:
    if "memory/gpu_peak_gib" in result.metrics:
        return "GPU"
    return "CPU" if "memory/cpu_peak_gib" in result.metrics else ""


def _memory(result: Result) -> str:
    kind = _kind(result)
    return _number(result, f"memory/{kind.lower()}_peak_gib", ".2f") if kind else MISSING


def _failed(result: Result) -> str:
    if result.status != "finished":
        return result.status
    total, failed = result.metric("samples/total"), result.metric("samples/failed")
    if total is None or failed is None:
        return MISSING
    return f"{failed:.0f} of {total:.0f}"
