"""Writes each table of scores of all jobs into one file (`;`, UTF-8 with byte order mark).

metrics_by_id.csv, metrics_by_field.csv, metrics_by_class.csv, metrics_general.csv: the columns are the job's name and
those of a job's own tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metrics.aggregate import Aggregate
from runner.scoring import tables
from runner.studies.compare.jobs import Scored


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write the tables. Return each path with its number of rows; nothing if no job was scored."""
    collected: dict[str, list[dict[str, object]]] = {}
    for job in jobs:
        if not job.result.has_scores:
            continue
        cases = list(job.result.cases())
        columns = tables.Columns.of(cases, job.result.scores())
        aggregates = [Aggregate(**figure) for figure in job.result.aggregates]
        for name, (header, *rows) in tables.tables(cases, columns, aggregates).items():
            names = ["job", *map(str, header)]
            collected.setdefault(name, []).extend(dict(zip(names, [job.name, *row], strict=True)) for row in rows)
    written = {}
    for name, table_rows in collected.items():
        path = folder / f"metrics_{name}.csv"
        named = list(dict.fromkeys(column for row in table_rows for column in row))
        tables.write_csv(path, [named, *([row.get(column) for column in named] for row in table_rows)])
        written[path] = len(table_rows)
    return written
