"""The tables of scores of all jobs in one file each (`;`, UTF-8 with byte order mark).

metrics_by_id.csv, metrics_by_field.csv, metrics_by_class.csv, metrics_general.csv: the columns of a job's own tables,
after its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metrics.aggregate import Aggregate
from runner.scoring import tables
from runner.studies.compare.jobs import Scored


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write the tables. Return each with its number of rows; none where no job was scored."""
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
    for name, found in collected.items():
        path = folder / f"metrics_{name}.csv"
        named = list(dict.fromkeys(column for row in found for column in row))
        tables.write_csv(path, [named, *([row.get(column) for column in named] for row in found)])
        written[path] = len(found)
    return written
