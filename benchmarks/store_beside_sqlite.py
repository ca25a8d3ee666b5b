"""The store beside SQLite: appending generations one by one, finding each by its key, and opening what is there.

    python benchmarks/store_beside_sqlite.py [--generations 10000] [--folder FOLDER]

Both keep the same JSON of the same generations. A row survives the death of the process as soon as it is written: the
store writes a line and lets a thread call fsync once a second; SQLite commits each row in WAL mode with
`synchronous=NORMAL`, which calls fsync at checkpoints. Three rounds in turns, medians. Ends with 1 where the store is
slower in appending, or takes more than twice as long to find an answer, whose checksum it verifies. Opening is the
store's price, for it reads every line to make its index, and has no limit.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from parts.limits import Limit, tell

from backends.api import Generation, Timing
from runner.store import lines
from runner.store.shelf import Shelf

CONDITIONS = {"gpu": "none", "host": "bench", "concurrency": "16"}
TABLE = "CREATE TABLE IF NOT EXISTS generations (key TEXT, conditions TEXT, row TEXT, PRIMARY KEY (key, conditions))"


def generations(number: int) -> list[tuple[str, Generation]]:
    """Return answers of a line with their timing and 20 tokens, each with its key."""
    draw = random.Random(0)
    made = []
    for at in range(number):
        timing = Timing(sent_at=1.7e9 + at, latency_s=draw.random(), ttft_s=draw.random())
        ids = tuple(draw.randrange(150_000) for _ in range(20))
        key = lines.digest(at)
        made.append(
            (key, Generation(key=key, text=f"гор. Севастополь, {at}", error=None, token_ids=ids, timing=timing))
        )
    return made


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ours(folder: Path, made: list[tuple[str, Generation]]) -> dict[str, float]:
    """Return the seconds of the store."""
    took = {}
    with Shelf(folder / "shelf.jsonl") as shelf:
        took["append"] = seconds(lambda: [shelf.append(key, CONDITIONS, one) for key, one in made] and shelf.sync())
        took["find"] = seconds(lambda: [shelf.find(key, CONDITIONS) for key, _ in made])
    took["open"] = seconds(lambda: Shelf(folder / "shelf.jsonl").close())
    return took


def sqlite(folder: Path, made: list[tuple[str, Generation]]) -> dict[str, float]:
    """Return the seconds of SQLite with the same rows."""

    def connect() -> sqlite3.Connection:
        opened = sqlite3.connect(folder / "generations.db", isolation_level=None)  # each statement is committed
        opened.execute("PRAGMA journal_mode=WAL")
        opened.execute("PRAGMA synchronous=NORMAL")
        opened.execute(TABLE)
        return opened

    def append() -> None:
        for key, one in made:
            row = json.dumps(lines.to_json(one), ensure_ascii=False)
            database.execute("INSERT OR REPLACE INTO generations VALUES (?, ?, ?)", (key, name, row))

    def find() -> None:
        for key, _ in made:
            query = "SELECT row FROM generations WHERE key = ? AND conditions = ?"
            lines.from_json(json.loads(database.execute(query, (key, name)).fetchone()[0]))

    name, database = lines.digest(CONDITIONS), connect()
    took = {"append": seconds(append), "find": seconds(find)}
    database.close()
    took["open"] = seconds(lambda: connect().close())
    return took


def main() -> int:
    """Measure and print; return 1 where the store is slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; else a temporary folder")
    options = parser.parse_args()
    made = generations(options.generations)
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rounds.append((ours(Path(folder), made), sqlite(Path(folder), made)))
    limits, bounds = [], {"append": 1.0, "find": 0.5}
    for what in ("append", "find", "open"):
        mine, theirs = (statistics.median(side[what] for side in sides) for sides in zip(*rounds, strict=True))
        print(f"{what:8} {len(made):,} generations: store {mine:.3f} s, SQLite {theirs:.3f} s")
        if what in bounds:
            ratio = statistics.median(theirs[what] / mine[what] for mine, theirs in rounds)
            limits.append(Limit(f"times as fast as SQLite: {what}", ratio, ">=", bounds[what]))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
