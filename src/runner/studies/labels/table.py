"""Reads labels: a CSV with sample_id, repeat, candidate and what people filled in, `human_reference` and `human_score`.

    sample_id;repeat;candidate;…;human_reference;human_score;comment
    17;0;demo_s-bf16;…;Петров;;the reference has a typo
    17;0;demo_m-bf16;…;;1;

`human_reference` belongs to the sample, so one of its rows is enough; `human_score` belongs to the row's answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metrics.numerals import figure
from runner.base.errors import Problem, Refused
from runner.datasets.table_files import read_table
from runner.datasets.tables import Cells
from runner.scoring.tables import FORMULA

READS = "labels: sample_id;repeat;candidate;human_reference;human_score, as python -m runner.export writes them"
NEEDED = ("sample_id",)
SHOWN = ("sample_id", "candidate", "human_reference")  # texts; repeat and human_score are numbers
YES_NO = {"yes": 1.0, "no": 0.0, "да": 1.0, "нет": 0.0, "true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Labels:
    """References by sample, and scores by (sample, repeat, candidate). The candidate is a job's name."""

    references: Mapping[str, tuple[str, ...]]
    scores: Mapping[tuple[str, int, str], float]


def read(path: Path) -> Labels:
    """Read a file of labels. Raise Refused with all invalid rows."""
    if not path.is_file():
        raise Refused(Problem("is not a file", str(path), f"name {READS}"))
    table = read_table(path, READS)  # any format: people save the CSV in that of their spreadsheet
    if missing := [name for name in NEEDED if name not in table.header]:
        raise Refused(Problem(f"has no column {', '.join(missing)}", str(path), READS))
    references: dict[str, tuple[str, ...]] = {}
    scores: dict[tuple[str, int, str], float] = {}
    problems: list[Problem] = []
    for line in table.lines(SHOWN):
        if isinstance(line, Problem):
            problems.append(line)
            continue
        problems += _add(line, references, scores)
    if problems:
        raise Refused(problems)
    if not references and not scores:
        raise Refused(Problem("nothing is filled in: human_reference and human_score are empty", str(path)))
    return Labels(references, scores)


def _add(
    line: Cells, references: dict[str, tuple[str, ...]], scores: dict[tuple[str, int, str], float]
) -> list[Problem]:
    """Add the labels of a row to `references` and `scores`. Return its problems."""
    problems = []
    sample, repeat = _cell(line, "sample_id"), _cell(line, "repeat") or "0"
    if not sample or not repeat.isdecimal():
        return [Problem(f"sample_id {sample!r}, repeat {repeat!r}: a name and a number are needed", line.where)]
    if cell := _cell(line, "human_reference"):
        accepted = tuple(part.strip() for part in cell.split("|") if part.strip())
        if references.setdefault(sample, accepted) != accepted:
            what = f"sample {sample} has two references: {' | '.join(references[sample])} and {cell}"
            problems.append(Problem(what, line.where, "leave one; `|` separates several that are right"))
    if cell := _cell(line, "human_score"):
        number = YES_NO.get(cell.lower(), _number(cell))
        key = (sample, int(repeat), _cell(line, "candidate"))
        if number is None:
            problems.append(Problem(f"human_score {cell!r} is no number", line.where, "a number, yes or no"))
        elif not key[2]:
            problems.append(Problem("human_score without a candidate", line.where, "name whose answer it is"))
        elif scores.setdefault(key, number) != number:
            problems.append(Problem(f"sample {sample}, {key[2]} is scored twice", line.where, "leave one"))
    return problems


def _cell(line: Cells, name: str) -> str:
    text = line.texts.get(name, "").strip()
    # The export puts an apostrophe before a text that looks like a formula; it is not part of the text.
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _number(text: str) -> float | None:
    try:
        return figure(text)
    except ValueError:
        return None
