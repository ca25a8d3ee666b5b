"""The store of answers ($RUNNER_STORE, default multirun/.store): what it holds, whether it is whole, what can go.

python -m runner.store ls                             each shelf: whose answers, how many, since when
python -m runner.store verify                         read everything; ends with 1 where something is damaged
python -m runner.store gc --dry-run                   what is superseded or unreadable, and old logs of engines
python -m runner.store gc --older-than 90d            ... and all answers older than that: asked again when needed
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from runner.base import command_line, paths
from runner.store import upkeep

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def ls(store: Path, console: Console) -> int:
    """Show the shelves; the model comes last, as its path may be long."""
    rows = [("shelf", "backend", "quant", "answers", "conditions", "damaged", "size", "oldest", "newest", "model")]
    found = [upkeep.survey(path) for path in upkeep.shelves(store)]
    for one in found:
        about = one.about
        model = about.get("checkpoint", "?") + (" (dummy)" if about.get("weights") == "dummy" else "")
        counts = (str(one.answers), str(one.conditions), str(len(one.damaged)), _size(one.bytes))
        whose = (one.path.stem + ("*" if one.in_use else ""), about.get("backend", "?"), about.get("quant", "?"))
        rows.append((*whose, *counts, _day(one.oldest), _day(one.newest), model))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if found else ():
        cells = (
            text.rjust(width) if 3 <= index <= 6 else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        console.print("  ".join(cells).rstrip(), markup=False, highlight=False, soft_wrap=True)
    answers, size = sum(one.answers for one in found), _size(sum(one.bytes for one in found))
    used = "; * a job has it open" if any(one.in_use for one in found) else ""
    console.print(f"{answers} answers, {size} in {store}{used}", markup=False, highlight=False, soft_wrap=True)
    return 0


def verify(store: Path, console: Console) -> int:
    """Read every line of every shelf; return 1 where something is damaged."""
    damaged = lines = 0
    for path in upkeep.shelves(store):
        found = upkeep.survey(path)
        lines += found.answers
        for number, problem in found.damaged:
            console.print(f"{path}, line {number}: {problem}", markup=False, highlight=False, soft_wrap=True)
        if found.half_written:
            what = "the last line is half-written" + (" (or in the writing)" if found.in_use else "")
            console.print(f"{path}: {what}; the next answer cuts it off", markup=False, highlight=False, soft_wrap=True)
        damaged += len(found.damaged)
    console.print(f"{lines} answers are whole, {damaged} lines are damaged", markup=False, highlight=False)
    if damaged:
        console.print("damaged lines are skipped and what they held is asked again; gc removes them", markup=False)
    return int(damaged > 0)


def gc(store: Path, console: Console, older_than_s: float | None, *, dry_run: bool) -> int:
    """Remove what can go, and say what."""
    freed = 0
    for one in upkeep.collect(store, older_than_s, dry_run=dry_run):
        freed += one.bytes
        words = f"stays: {one.problem}" if one.problem else f"{one.what}, {_size(one.bytes)}"
        console.print(f"{one.path.name}: {words}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{_size(freed)} {'would be ' if dry_run else ''}freed in {store}", markup=False, highlight=False)
    return 0


def seconds(text: str) -> float:
    """Read a duration such as 90d, 12h, 1.5h."""
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
    """Show, check or tidy a store. Return 1 where something in it is damaged."""
    parser = command_line.parser("store", __doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, says in (
        ("ls", "show the shelves: one for each model, quantisation and backend"),
        ("verify", "read every line and its checksum; ends with 1 where one is damaged"),
        ("gc", "remove what is superseded, unreadable or too old, and logs of engines that ended"),
    ):
        command = commands.add_parser(name, help=says, description=says)
        command.add_argument("--store", type=Path, default=paths.store_dir(), help="default: $RUNNER_STORE")
        if name == "gc":
            command.add_argument(
                "--older-than", type=seconds, metavar="AGE", help="also answers and logs of that age: 90d, 12h"
            )
            command.add_argument("--dry-run", action="store_true", help="only say what would go")
    given = parser.parse_args(arguments)
    console = Console()
    if not given.store.is_dir():
        console.print(f"{given.store}: there is no store yet", markup=False, highlight=False, soft_wrap=True)
        return 0 if given.store == paths.store_dir() else 1
    if given.command == "gc":
        return gc(given.store, console, given.older_than, dry_run=given.dry_run)
    return (ls if given.command == "ls" else verify)(given.store, console)
