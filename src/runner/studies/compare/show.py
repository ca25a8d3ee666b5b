"""A comparison on the terminal, and its changed samples as a table for spreadsheets."""

from __future__ import annotations

import itertools
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.base.terminal_table import MISSING
from runner.jobs.folder import JobFolder
from runner.scoring.tables import write_csv
from runner.studies.compare.changed_samples import KINDS, Changed
from runner.studies.compare.jobs import Scored
from runner.studies.compare.metric_difference import Difference

LONGEST = 120  # characters of an answer on the terminal; the CSV has all of them
DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")
WORDS = {"better": "green", "worse": "red"}
COLUMNS = ("baseline", "candidate", "change", "sample_id", "document", "doc_class", "field", "question", "reference",
           "baseline_answer", "candidate_answer", "measure", "baseline_score", "candidate_score")  # fmt: skip


def console() -> Console:
    """Return where tables are printed: as wide as the terminal; without one, wide enough for a log."""
    return Console(width=None if sys.stdout.isatty() else 160)


def jobs(console: Console, first: Scored, second: Scored) -> None:
    """Say which jobs are compared, and where they lie."""
    console.print()
    for letter, job in (("A", first), ("B", second)):
        run = f", run {job.result.run_id}" if job.result.run_id else ""
        status = "" if job.result.status == "finished" else f"  ({_status(job.result)})"
        _line(console, f"{letter}  {job.name}  {job.folder}{run}{status}")


def _status(job: JobFolder) -> str:
    """Say how a job stands; of one that did not end, what it has."""
    return str(job.error) if job.is_open else job.status


def config(console: Console, found: Mapping[str, tuple[str, str]]) -> None:
    """List what was set differently."""
    table = Table("set differently", "A", "B", title=None, header_style="bold")
    for key, values in found.items():
        table.add_row(Text(key), *(Text(_short(DIGEST.sub(r"\1…", value)) or MISSING) for value in values))
    if found:
        console.print(table)
    else:
        _line(console, "config and environment: no difference")


def metrics(console: Console, found: Sequence[Difference]) -> None:
    """List the figures that differ, and all that were tested."""
    table = Table("figure", title=None, header_style="bold")
    for name in ("A", "B", "B - A [95% CI]", "", "verdict"):
        table.add_column(name, justify="left" if name == "verdict" else "right")
    for one in found:
        if one.verdict is None and one.first == one.second:
            continue
        cells = [*map(_number, (one.first, one.second)), _change(one)]
        share = MISSING if one.share is None else f"{one.share:+.1%}"
        word = one.verdict.word if one.verdict else ""
        table.add_row(Text(one.name), *cells, share, Text(word, style=WORDS.get(word, "")))
    console.print(table)


def samples(console: Console, found: Sequence[Changed], measure: str, shown: int) -> None:
    """Count the samples that changed, and show some that got worse and some that got better."""
    counts = Counter(one.kind for one in found)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "none changed"
    _line(console, f"samples by {measure}: {told}")
    for kind in ("worse", "better", "not compared"):
        for one in [one for one in found if one.kind == kind][:shown]:
            where = " ".join(filter(None, (one.doc_class, one.field)))
            _line(console, f"  {kind:<7} {one.sample_id}  {where}: {_short(one.question)}")
            _line(console, f"          reference  {_short(' | '.join(one.references)) or MISSING}")
            _line(console, f"          A {_number(one.first_score):>8} {_short(one.first)!r}")
            _line(console, f"          B {_number(one.second_score):>8} {_short(one.second)!r}")


def write_samples(path: Path, found: Sequence[tuple[Scored, Scored, str, Sequence[Changed]]]) -> None:
    """Write all changed samples of all pairs into a CSV (`;`, UTF-8 with byte order mark)."""
    rows = (
        (first.name, second.name, one.kind, one.sample_id, one.document, one.doc_class, one.field, one.question,
         " | ".join(one.references), one.first, one.second, measure, one.first_score, one.second_score)
        for first, second, measure, changed in found
        for one in changed
    )  # fmt: skip
    write_csv(path, itertools.chain([COLUMNS], rows))


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.4g}"


def _change(one: Difference) -> str:
    if one.change is None:
        return MISSING
    paired = one.verdict.paired if one.verdict else None
    interval = "" if paired is None or paired.ci_low is None else f" [{paired.ci_low:+.3g}, {paired.ci_high:+.3g}]"
    return f"{one.change:+.3g}{interval}"
