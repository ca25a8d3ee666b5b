"""In which order a race asks about documents, and how many of them between two comparisons.

A comparison costs nothing where candidates share an engine, or are endpoints, or all fit into `pool.max_engines`: then
blocks are small. Elsewhere each round starts engines anew, and blocks are so large that this takes at most a tenth of
the time that answers take. What is not known yet (no earlier answers here) can't be reckoned with: then there are four.

The blocks of a race are written into the store when it first starts, so that it goes on with the same ones after it was
interrupted, although times are better known then.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from runner import store
from runner.base import paths
from runner.datasets.api import Sample
from runner.jobs.job_files import write_json
from runner.planning.job import Job
from runner.store import Shelf
from runner.sweeps.dry_plan import LATENCIES, earlier_load_s

MOST_ROUNDS, ROUNDS_IF_UNKNOWN = 20, 4
STARTS_SHARE = 0.1  # of the time that all answers take, which starting engines anew may take
FILLED = 4  # times that a block fills the requests in flight, so that they seldom run low at its end


@dataclass(frozen=True, slots=True)
class Blocks:
    """`ends` are the numbers of documents after which candidates are compared, the last one all.

    `starts` is how many engines a further round starts anew; `start_s` how long one takes and `asking_s` how long all
    answers take, in seconds, None where no earlier ones tell.
    """

    ends: tuple[int, ...]
    starts: int
    start_s: float | None
    asking_s: float | None

    def __str__(self) -> str:
        """Return the forecast as a sentence."""
        sizes = {end - begin for begin, end in pairwise((0, *self.ends))}
        told = f"race: {len(self.ends)} rounds at most, blocks of {max(sizes)} documents"
        rounds = len(self.ends) - 1
        if not self.starts or not rounds:
            return f"{told}; another round starts no engine"
        count = rounds * self.starts
        if self.start_s is None:
            return f"{told}; rounds start up to {count} engines anew, in unknown time"
        return f"{told}; rounds start up to {count} engines anew, about {count * self.start_s:.0f} s if nobody stops"


def order(samples: Iterable[Sample], seed: int) -> list[list[Sample]]:
    """Return the samples of each document, documents in a random order that `seed` alone decides."""
    documents: dict[str, list[Sample]] = {}
    for sample in samples:
        documents.setdefault(sample.document, []).append(sample)
    # No generator whose stream may differ in another version of Python.
    shuffled = sorted(documents, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "replace")).digest())
    return [documents[name] for name in shuffled]


def planned(jobs: Sequence[Job], *, keep: bool = False) -> Blocks:
    """Return the blocks of a race: those it had when it was first started, else by what is known now.

    `keep` writes them into the store.
    """
    race, first = jobs[0].config.race, jobs[0]
    documents = len({sample.document for sample in first.dataset})
    named = [sorted(job.digest for job in jobs), race.seed, race.block, documents]
    path = paths.store_dir() / "races" / f"{store.digest(named)[:24]}.json"
    engines = {job.spec for job in jobs if not job.config.backend.base_url}
    starts = max(0, len(engines) - first.config.pool.max_engines)
    loads = [load for load in (earlier_load_s(job) for job in jobs if starts) if load is not None]
    start_s = statistics.fmean(loads) if loads else None
    taken = [_asking_s(job) for job in jobs] if starts else []
    asking_s = None if None in taken else sum(one for one in taken if one is not None)
    if (ends := _kept(path, documents)) is None:
        ends = _ends(documents, race.block or _size(jobs, documents, starts, start_s, asking_s))
        if keep:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"ends": ends})
    return Blocks(tuple(ends), starts, start_s, asking_s)


def _ends(documents: int, size: int) -> list[int]:
    return [*range(size, documents, size), documents]


def _size(jobs: Sequence[Job], documents: int, starts: int, start_s: float | None, asking_s: float | None) -> int:
    """Return how many documents a block has."""
    rounds = MOST_ROUNDS
    if starts and (not start_s or asking_s is None):
        rounds = ROUNDS_IF_UNKNOWN
    elif starts and start_s and asking_s is not None:
        rounds = max(2, min(MOST_ROUNDS, 1 + int(STARTS_SHARE * asking_s / (starts * start_s))))
    questions = min(job.questions for job in jobs) / documents
    filled = FILLED * max(job.config.concurrency for job in jobs) / questions
    return max(1, math.ceil(documents / rounds), math.ceil(min(filled, documents / 2)))


def _asking_s(job: Job) -> float | None:
    """Return how long all answers of a job take, by earlier ones of its engine; None where there are none."""
    with Shelf.of(paths.store_dir(), job.spec) as shelf:
        took = list(shelf.latencies(job.conditions, LATENCIES)) or list(shelf.latencies(None, LATENCIES))
    return job.questions * statistics.fmean(took) / job.config.concurrency if took else None


def _kept(path: Path, documents: int) -> list[int] | None:
    """Return the blocks with which the race was started; None where it was not, or they were written in half."""
    try:
        ends = json.loads(path.read_text(encoding="utf-8"))["ends"]
    except (OSError, ValueError, KeyError):
        return None
    return ends if ends and ends[-1] == documents else None
