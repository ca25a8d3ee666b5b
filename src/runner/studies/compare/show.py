"""A comparison on the terminal, and its changed samples as a table for spreadsheets."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.base import terminal_table
from runner.base.terminal_table import MISSING
from runner.jobs.folder import JobFolder
from runner.scoring.tables import write_csv
from runner.studies.compare.changed_samples import KINDS, ChangedSample
from runner.studies.compare.jobs import Scored
from runner.studies.compare.metric_difference import Difference

LONGEST = 120  # characters of an answer on the terminal; the CSV has all of them
DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")
WORDS = {"better": "green", "worse": "red"}
COLUMNS = ("baseline", "candidate", "change", "sample_id", "document", "doc_class", "field", "question", "reference",
           "baseline_answer", "candidate_answer", "measure", "baseline_score", "candidate_score")  # fmt: skip


def jobs(console: Console, first: Scored, second: Scored) -> None:
    """Print the names and folders of the jobs that are compared."""
    console.print()
    for letter, job in (("A", first), ("B", second)):
        run = f", run {job.result.run_id}" if job.result.run_id else ""
        status = "" if job.result.status == "finished" else f"  ({_status(job.result)})"
        _line(console, f"{letter}  {job.name}  {job.folder}{run}{status}")


def _status(job: JobFolder) -> str:
    """Return the status of a job; for a job that did not end, what it has."""
    return str(job.error) if job.is_open else job.status


def config(console: Console, differing: Mapping[str, tuple[str, str]]) -> None:
    """Print the settings that differ."""
    table = Table("set differently", "A", "B", title=None, header_style="bold")
    for key, values in differing.items():
        table.add_row(Text(key), *(Text(_short(DIGEST.sub(r"\1…", value)) or MISSING) for value in values))
    if differing:
        console.print(table)
    else:
        _line(console, "config and environment: no difference")


def metrics(console: Console, differences: Sequence[Difference]) -> None:
    """Print the metrics that differ, and all metrics that were tested."""
    rows = []
    for difference in differences:
        if difference.verdict is None and difference.first == difference.second:
            continue
        cells = [*map(_number, (difference.first, difference.second)), _change(difference)]
        share = MISSING if difference.share is None else f"{difference.share:+.1%}"
        word = difference.verdict.word if difference.verdict else ""
        rows.append((difference.name, *cells, share, word))
    columns = terminal_table.columns(("figure", "A", "B", "B - A [95% CI]", "", "verdict"), rows, identity=1)
    columns[-1] = dataclasses.replace(columns[-1], right=False, weight=1, styles=WORDS)  # the verdict stays longest
    terminal_table.show(console, columns, elsewhere="a wider terminal")


def samples(console: Console, changes: Sequence[ChangedSample], measure: str, shown: int) -> None:
    """Print how many samples changed, and at most `shown` examples of each kind."""
    counts = Counter(change.kind for change in changes)
    summary = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "none changed"
    _line(console, f"samples by {measure}: {summary}")
    for kind in ("worse", "better", "not compared"):
        for change in [change for change in changes if change.kind == kind][:shown]:
            where = " ".join(filter(None, (change.doc_class, change.field)))
            _line(console, f"  {kind:<7} {change.sample_id}  {where}: {_short(change.question)}")
            _line(console, f"          reference  {_short(' | '.join(change.references)) or MISSING}")
            _line(console, f"          A {_number(change.first_score):>8} {_short(change.first)!r}")
            _line(console, f"          B {_number(change.second_score):>8} {_short(change.second)!r}")


def write_samples(path: Path, compared: Sequence[tuple[Scored, Scored, str, Sequence[ChangedSample]]]) -> None:
    """Write all changed samples of all pairs into a CSV (`;`, UTF-8 with byte order mark)."""
    rows = (
        (first.name, second.name, change.kind, change.sample_id, change.document, change.doc_class, change.field,
         change.question, " | ".join(change.references), change.first, change.second, measure, change.first_score,
         change.second_score)
        for first, second, measure, changes in compared
        for change in changes
    )  # fmt: skip
    write_csv(path, itertools.chain([COLUMNS], rows))


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4g}"


def _change(difference: Difference) -> str:
    if difference.change is None:
        return MISSING
    paired = difference.verdict.paired if difference.verdict else None
    interval = "" if paired is None or paired.ci_low is None else f" [{paired.ci_low:+.3g}, {paired.ci_high:+.3g}]"
    return f"{difference.change:+.3g}{interval}"
