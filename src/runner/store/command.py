"""The store of answers ($RUNNER_STORE, default multirun/.store): shows its content, checks it, and removes old parts.

python -m runner.store ls                             list the shelves: model, number of answers, dates
python -m runner.store verify                         read every line; exit with 1 if a line is damaged
python -m runner.store gc --dry-run                   show superseded and unreadable lines, and old logs of engines
python -m runner.store gc --older-than 90d            remove these, and all answers that are older than 90 days
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from runner.base import command_line, paths, terminal
from runner.store import upkeep

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def ls(store: Path, console: Console) -> int:
    """List the shelves. The model is the last column, because its path may be long."""
    rows = [("shelf", "backend", "quant", "answers", "conditions", "damaged", "size", "oldest", "newest", "model")]
    surveys = [upkeep.survey(path) for path in upkeep.shelves(store)]
    for survey in surveys:
        about = survey.about
        model = about.get("checkpoint", "?") + (" (dummy)" if about.get("weights") == "dummy" else "")
        counts = (str(survey.answers), str(survey.conditions), str(len(survey.damaged)), _size(survey.bytes))
        shelf = survey.path.stem + ("*" if survey.in_use else "")
        engine = (about.get("backend", "?"), about.get("quant", "?"))
        rows.append((shelf, *engine, *counts, _day(survey.oldest), _day(survey.newest), model))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if surveys else ():
        cells = (
            text.rjust(width) if 3 <= index <= 6 else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        console.print("  ".join(cells).rstrip(), markup=False, highlight=False, soft_wrap=True)
    answers, size = sum(survey.answers for survey in surveys), _size(sum(survey.bytes for survey in surveys))
    used = "; * a job has it open" if any(survey.in_use for survey in surveys) else ""
    console.print(f"{answers} answers, {size} in {store}{used}", markup=False, highlight=False, soft_wrap=True)
    return 0


def verify(store: Path, console: Console) -> int:
    """Read every line of every shelf. Return 1 if a line is damaged."""
    damaged = lines = 0
    for path in upkeep.shelves(store):
        survey = upkeep.survey(path)
        lines += survey.answers
        for number, problem in survey.damaged:
            console.print(f"{path}, line {number}: {problem}", markup=False, highlight=False, soft_wrap=True)
        if survey.half_written:
            what = "the last line is half-written" + (" (or being written now)" if survey.in_use else "")
            console.print(f"{path}: {what}; the next answer cuts it off", markup=False, highlight=False, soft_wrap=True)
        damaged += len(survey.damaged)
    console.print(f"{lines} answers are whole, {damaged} lines are damaged", markup=False, highlight=False)
    if damaged:
        console.print("damaged lines are skipped and their questions asked again; gc removes them", markup=False)
    return int(damaged > 0)


def gc(store: Path, console: Console, older_than_s: float | None, *, dry_run: bool) -> int:
    """Remove superseded, unreadable and old lines and old logs, and print what was removed."""
    freed = 0
    for collected in upkeep.collect(store, older_than_s, dry_run=dry_run):
        freed += collected.bytes
        outcome = f"stays: {collected.problem}" if collected.problem else f"{collected.what}, {_size(collected.bytes)}"
        console.print(f"{collected.path.name}: {outcome}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{_size(freed)} {'would be ' if dry_run else ''}freed in {store}", markup=False, highlight=False)
    return 0


def seconds(text: str) -> float:
    """Return the seconds of a duration such as 90d, 12h or 1.5h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: a number with s, m, h, d or w, such as 90d")
    return float(match[1]) * _SECONDS[match[2]]


def _day(at: float | None) -> str:
    return "-" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024  # type: ignore[assignment]
    return f"{count:.3g} GiB"


def main(arguments: Sequence[str]) -> int:
    """Run ls, verify or gc on a store. Return 1 if verify finds a damaged line."""
    parser = command_line.parser("store", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("ls", "list the shelves: one for each model, quantisation and backend"),
        ("verify", "read every line and check its checksum; exit with 1 if a line is damaged"),
        ("gc", "remove superseded, unreadable and old answers, and logs of engines that ended"),
    ):
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--store", type=Path, default=paths.store_dir(), help="default: $RUNNER_STORE")
        if name == "gc":
            command.add_argument(
                "--older-than", type=seconds, metavar="AGE", help="also answers and logs of that age: 90d, 12h"
            )
            command.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    options = parser.parse_args(arguments)
    console = terminal.console()
    if not options.store.is_dir():
        console.print(f"{options.store}: there is no store yet", markup=False, highlight=False, soft_wrap=True)
        return 0 if options.store == paths.store_dir() else 1
    if options.command == "gc":
        return gc(options.store, console, options.older_than, dry_run=options.dry_run)
    return (ls if options.command == "ls" else verify)(options.store, console)
