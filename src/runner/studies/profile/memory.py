"""Memory and speed by length of the input: `python -m runner.memory_profile SWEEP_DIR`, `experiment=memory_profile`.

Each job asked inputs of one length (`dataset=synthetic dataset.options.visual_tokens=N`) or searched for the largest
that works (`=largest`). Where there is no GPU, memory is the engine's CPU memory, and is called so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.base import terminal
from runner.base.terminal_table import MISSING
from runner.jobs.folder import JobFolder
from runner.studies import summary_tables
from runner.studies.profile import rows
from runner.studies.profile.rows import Speed
from runner.studies.summaries import again
from runner.studies.summary_tables import Panel, number, span

NAME = "memory_profile"
_HEADER = (
    "model quant backend", "input asked for", "prompt tokens", "visual tokens", "memory", "peak GiB", "needed GiB",
    "latency s", "prefill s", "prefill by", "prefill tokens/s", "decode tokens/s", "did not fit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profiled:
    """One job: an input length, or the search for the largest."""

    result: JobFolder
    series: str
    asked: str
    speed: Speed
    kind: str
    peak_gib: float | None

    @property
    def needed_gib(self) -> float | None:
        """Return what the engine says that the work needed."""
        return self.result.metric("memory/needed_gib")

    @property
    def is_search(self) -> bool:
        """Whether this job searched for the largest input."""
        return self.asked == "largest"


def profiled(results: Sequence[JobFolder]) -> list[Profiled]:
    """Return the jobs of a profile, by series, in order of length; a search last."""
    jobs = []
    for result in results:
        options = result.config["dataset"].get("options") or {}
        if result.config["dataset"].get("format") == "synthetic":
            kind, peak = summary_tables.memory(result)
            name = summary_tables.series(result)
            asked = str(options.get("visual_tokens"))
            jobs.append(Profiled(result, name, asked, rows.speed(result), kind, peak))
    order = {name: place for place, name in enumerate(dict.fromkeys(job.series for job in jobs))}
    return sorted(jobs, key=lambda job: (order[job.series], job.is_search, int(job.asked) if not job.is_search else 0))


def summarise(folder: Path, results: Sequence[JobFolder]) -> list[Path]:
    """Print both tables; write them as CSV and the charts as a page, and return these files."""
    jobs = profiled(results)
    if not jobs:
        terminal.say(f"no job in {folder} used dataset=synthetic: there is no profile to show")
        return []
    by_length = [job for job in jobs if not job.is_search]
    header = (
        "model quant backend",
        "prompt tokens",
        "memory",
        "peak GiB",
        "latency s",
        "prefill tok/s",
        "decode tok/s",
    )
    summary_tables.show("by input length", header, [_row(job) for job in by_length], text_columns=1)
    columns = ("model quant backend", "memory", "GiB", "needed GiB", "prompt tokens", "largest input that fits")
    names = dict.fromkeys(job.series for job in jobs)
    rows = [_range([job for job in jobs if job.series == name]) for name in names]
    summary_tables.show("model x quantisation: memory range over these lengths", columns, rows, text_columns=1)
    summary_tables.write_csv(folder / f"{NAME}.csv", _HEADER, [_record(job) for job in jobs])
    summary_tables.write_charts(folder / f"{NAME}.html", "memory and speed by length of the input", _panels(by_length))
    terminal.say(f"profile: {folder / NAME}.csv, .html")
    return [folder / f"{NAME}.csv", folder / f"{NAME}.html"]


def _row(job: Profiled) -> tuple[str, ...]:
    speed = job.speed
    if speed.prompt_tokens is None:
        what = f"{speed.limit}: does not fit" if speed.limit else job.result.status
        return (job.series, f"({job.asked} visual)", what, *(MISSING,) * 4)
    return (
        job.series,
        number(speed.prompt_tokens, ".0f"),
        job.kind or MISSING,
        number(job.peak_gib, ".2f"),
        number(speed.latency_s, ".3f"),
        number(speed.prefill_tokens_per_s, ",.0f"),
        number(speed.decode_tokens_per_s, ",.1f"),
    )


def _range(jobs: Sequence[Profiled]) -> tuple[str, ...]:
    """Return a series' row; the search is left out of the range: it ends where memory does."""
    fitting = [job for job in jobs if not job.is_search and job.speed.answered]
    kinds = "/".join(dict.fromkeys(job.kind for job in fitting if job.kind)) or MISSING
    search = next((job for job in jobs if job.is_search), None)
    return (
        jobs[0].series,
        kinds,
        span([job.peak_gib for job in fitting], ".2f"),
        span([job.needed_gib for job in fitting], ".2f"),
        span([job.speed.prompt_tokens for job in fitting], ".0f"),
        _largest(search) if search is not None else "not searched",
    )


def _largest(search: Profiled) -> str:
    if search.result.status != "finished":
        return search.result.status
    tokens = search.result.metric("largest/prompt_tokens")
    if tokens is None:
        return f"none: {search.speed.limit}" if search.speed.limit else MISSING
    return f"{tokens:.0f} tokens" + (f", then {search.speed.limit}" if search.speed.limit else ", as far as was tried")


def _record(job: Profiled) -> tuple[object, ...]:
    speed = job.speed
    return (
        job.series, job.asked, speed.prompt_tokens, speed.visual_tokens, job.kind, job.peak_gib, job.needed_gib,
        speed.latency_s, speed.prefill_s, speed.prefill_by, speed.prefill_tokens_per_s, speed.decode_tokens_per_s,
        speed.limit,
    )  # fmt: skip


def _panels(jobs: Sequence[Profiled]) -> list[Panel]:
    figures: dict[str, tuple[str, Callable[[Profiled], float | None]]] = {
        "memory": ("GiB", lambda job: job.peak_gib),
        "latency": ("s", lambda job: job.speed.latency_s),
        "prefill": ("tokens/s", lambda job: job.speed.prefill_tokens_per_s),
        "decoding": ("tokens/s", lambda job: job.speed.decode_tokens_per_s),
    }
    panels = []
    for title, (unit, figure) in figures.items():
        lines: dict[str, list[tuple[float, float]]] = {}
        for job in jobs:
            name = f"{job.series}, {job.kind}" if title == "memory" else job.series
            if job.speed.prompt_tokens is not None and (value := figure(job)) is not None:
                lines.setdefault(name, []).append((job.speed.prompt_tokens, value))
        panels.append(Panel(title, "prompt tokens", unit, lines))
    return panels


def main(arguments: Sequence[str]) -> int:
    """Show the profile of a sweep that has ended again, and write its files anew."""
    again(NAME, __doc__, arguments)
    return 0
