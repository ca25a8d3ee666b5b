"""Quality, latency and memory by pixels and pages: `python -m runner.resolution SWEEP_DIR`, `experiment=resolution`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.base import terminal
from runner.base.terminal_table import MISSING
from runner.jobs.folder import JobFolder
from runner.jobs.results import quality_names
from runner.studies import summary_tables
from runner.studies.profile import rows
from runner.studies.profile.rows import Speed
from runner.studies.summaries import again
from runner.studies.summary_tables import Panel, number

NAME = "resolution"


@dataclass(frozen=True, slots=True)
class Asked:
    """One job: to how many pixels pictures were limited, and how many pages each question came with."""

    result: JobFolder
    series: str
    max_pixels: int | None
    pages: int
    speed: Speed


def asked(results: Sequence[JobFolder]) -> list[Asked]:
    """Return the jobs by series, pages and pixels."""
    jobs = []
    for result in results:
        model, dataset = result.config["model"], result.config["dataset"]
        pages = 1 + int(dataset.get("other_pages") or 0)
        limit = model.get("max_pixels")
        jobs.append(Asked(result, summary_tables.series(result), limit, pages, rows.speed(result)))
    return sorted(jobs, key=lambda one: (one.series, one.pages, one.max_pixels or float("inf")))


def summarise(folder: Path, results: Sequence[JobFolder]) -> list[Path]:
    """Print the table; write it as CSV and the charts as a page, and return these files."""
    jobs = asked(results)
    measures = quality_names(results)
    header = (
        "model quant backend", "pages", "max pixels", "visual tokens", *measures, "latency s", "prefill s", "memory",
        "peak GiB",
    )  # fmt: skip
    summary_tables.show("by resolution", header, [_row(job, measures) for job in jobs], text_columns=1)
    summary_tables.write_csv(folder / f"{NAME}.csv", header, [_record(job, measures) for job in jobs])
    title = "quality, latency and memory by visual tokens"
    summary_tables.write_charts(folder / f"{NAME}.html", title, _panels(jobs, measures))
    terminal.say(f"resolution: {folder / NAME}.csv, .html")
    return [folder / f"{NAME}.csv", folder / f"{NAME}.html"]


def _record(job: Asked, measures: Sequence[str]) -> tuple[object, ...]:
    kind, peak = summary_tables.memory(job.result)
    quality = [job.result.metric(f"quality/{name}") for name in measures]
    speed = job.speed
    return (
        job.series, job.pages, job.max_pixels, speed.visual_tokens, *quality, speed.latency_s, speed.prefill_s, kind,
        peak,
    )  # fmt: skip


def _row(job: Asked, measures: Sequence[str]) -> tuple[str, ...]:
    kind, peak = summary_tables.memory(job.result)
    return (
        job.series,
        str(job.pages),
        f"{job.max_pixels:,}" if job.max_pixels else "checkpoint's",
        number(job.speed.visual_tokens, ".0f"),
        *(number(job.result.metric(f"quality/{name}"), ".3f") for name in measures),
        number(job.speed.latency_s, ".3f"),
        number(job.speed.prefill_s, ".3f"),
        kind or MISSING,
        number(peak, ".2f"),
    )


def _panels(jobs: Sequence[Asked], measures: Sequence[str]) -> list[Panel]:
    def line(figure: str) -> dict[str, list[tuple[float, float]]]:
        lines: dict[str, list[tuple[float, float]]] = {}
        for job in jobs:
            _, peak = summary_tables.memory(job.result)
            values = {"latency": job.speed.latency_s, "memory": peak}
            value = values[figure] if figure in values else job.result.metric(f"quality/{figure}")
            if job.speed.visual_tokens is not None and value is not None:
                name = f"{job.series}, {job.pages} page{'s' if job.pages > 1 else ''}"
                lines.setdefault(name, []).append((job.speed.visual_tokens, value))
        return lines

    kinds = "/".join(dict.fromkeys(kind for job in jobs if (kind := summary_tables.memory(job.result)[0])))
    panels = [Panel(name, "visual tokens", name, line(name)) for name in measures]
    panels.append(Panel("latency", "visual tokens", "s", line("latency")))
    return [*panels, Panel(f"{kinds} memory", "visual tokens", "GiB", line("memory"))]


def main(arguments: Sequence[str]) -> int:
    """Show the table of a sweep that has ended again, and write its files anew."""
    again(NAME, __doc__, arguments)
    return 0
