"""Looks for the highest rate that one job's engine carries: open loads, each at the rate that the last ones suggest.

Each look is a job of its own, with the same engine, which stays warm. Its rate is a condition of its answers' timing,
and what became of it is stored, so that a command that was killed asks again only the look that it was in: half of a
load is no load, since the engine may rest between its halves.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.api import Generation
from runner.asking import load, sustainable
from runner.asking.generate import generate
from runner.asking.questions import Generated
from runner.asking.sustainable import Judged, Ladder, Look, Outcome, Sent
from runner.datasets.api import Sample
from runner.jobs.capacity import Found, Step
from runner.jobs.figures import LATE_S, Seen, limited, waited
from runner.jobs.rows import answer_row
from runner.planning.capacity import Rule, Search
from runner.planning.job import Job
from runner.store import Shelf

log = logging.getLogger(__name__)
TIMES = ("latency", "ttft", "ttft/answer", "tpot")  # of each request that are stored


def find(
    job: Job, shelf: Shelf, asked: Generated, seen: Seen, gate: load.Gate | None, quiet: Callable[[], None]
) -> Found:
    """Return the highest rate that holds. `asked` and `seen` tell how the questions fared before, one after the other.

    Raise JobFailed where the engine can't be asked any more.
    """
    assert job.capacity is not None
    search, replicas = job.capacity, job.config.backend.replicas
    ladder = Ladder(search.rule.resolution)
    longest_s = longest_wait_s(search, seen.latencies if asked.timed else ())
    highest = search.highest(longest_s)
    steps: list[Step] = []
    backend = job.config.backend
    may_remember = bool(backend.base_url or backend.prefix_cache or backend.mm_cache)

    def ended(outcome: Outcome, unknown: str = "") -> Found:
        return Found(search, replicas, steps, outcome, highest, may_remember, unknown)

    if is_hopeless(job, search, asked, seen):
        return ended(Outcome(None, None, "never"))
    looking = _Looking(job, search, shelf, gate, quiet, is_cold=not asked.fresh)
    first = ladder.at_most(job.config.load.rate or first_rate(asked, seen))
    walk = sustainable.search(first, ladder.at_most(highest), ladder, search.steps)
    rung = next(walk)
    while True:
        rate = ladder.rate(rung)
        try:
            step = looking.step(rate, min(search.count(rate, longest_s), search.most))
        except Unknown as unknown:
            return ended(Outcome(None, None, "unknown"), str(unknown))
        steps.append(step)
        log.info("%s: %s", job.title, _told(step))
        try:
            rung = walk.send(step.judged)
        except StopIteration as stop:
            return ended(stop.value)


def first_rate(asked: Generated, seen: Seen) -> float:
    """Return a rate to begin with: that of the answers when they were asked as they came."""
    measured = asked.measured
    if asked.timed and measured and measured["wall_s"] and measured["answered"]:
        return float(measured["answered"] / measured["wall_s"])
    return 1 / statistics.fmean(seen.latencies) if seen.latencies else 1.0


def longest_wait_s(search: Search, latencies: Sequence[float]) -> float:
    """Return the longest limit, or what an answer takes (to one digit, so that the next run finds the same).

    `latencies` are those of the closed part, in seconds; none where they are not known.
    """
    limits = [limit for name, limit in search.rule.limits.items() if limited(name) != "tpot"]
    if latencies:
        latency_s = statistics.fmean(latencies)
        digit = 10 ** math.floor(math.log10(latency_s))
        limits.append(math.ceil(latency_s / digit) * digit)
    return max(limits, default=1.0)


def is_hopeless(job: Job, search: Search, asked: Generated, seen: Seen) -> bool:
    """Return whether the objective does not even hold for one request at a time: without a queue it is kept best."""
    if not asked.timed or job.config.concurrency != 1:
        return False
    known = {"latency": seen.latencies, "ttft": seen.ttft, "ttft/answer": seen.answer_ttft, "tpot": seen.tpot}
    for name, limit in search.rule.limits.items():
        times = known[limited(name)]
        kept = sum(time <= limit for time in times)
        if times and sustainable.upper(kept, len(times), 1 - search.rule.confidence) < search.rule.shares[name]:
            return True
    return False


def _told(step: Step) -> str:
    judged = step.judged
    word = "holds" if judged.verdict == "holds" else "does not hold"
    looks = f"{len(step.looks)} looks" if len(step.looks) > 1 else "1 look"
    why = ", the engine died" if judged.died else ""
    limit = f"{judged.worst}: {judged.low:.1%} to {judged.high:.1%}"
    return f"{step.rate:g} requests/s {word} ({judged.share:.1%} of {judged.requests} in time, {limit}; {looks}){why}"


class Unknown(Exception):
    """A time that the objective limits is not known."""


class _Looking:
    """Asks the looks of one job, or finds them in the store."""

    def __init__(
        self,
        job: Job,
        search: Search,
        shelf: Shelf,
        gate: load.Gate | None,
        quiet: Callable[[], None],
        *,
        is_cold: bool,
    ) -> None:
        self._job, self._search, self._shelf, self._gate, self._quiet = job, search, shelf, gate, quiet
        self._is_cold = is_cold  # no question of this job was asked yet

    def step(self, rate: float, count: int) -> Step:
        """Look at a rate until it is decided. Raise Unknown."""
        looks: list[Look] = []
        judged: Judged | None = None
        while judged is None or judged.verdict == "undecided":
            looks.append(self._look(rate, len(looks) + 1, count))
            judged = sustainable.judge(looks, self._search.rule)
        return Step(rate, looks, judged)

    def _look(self, rate: float, number: int, count: int) -> Look:
        job, search = self._job, self._search
        stored = stored_look(job, self._shelf, search.condition(rate, number, count))
        if stored is None:
            arrivals = search.arrivals(rate, number, count)
            mine = dataclasses.replace(
                job,
                # Why never: a look counts as a whole or not at all.
                config=dataclasses.replace(
                    job.config, reuse="never", max_failed=None, warmup=job.config.warmup if self._is_cold else 0
                ),
                conditions=_conditions(job, arrivals.name),
                arrivals=arrivals,
                chosen=search.chosen(rate, number, count),
                capacity=None,
                apart=f"{job.apart} at {rate:g}/s, look {number}".lstrip(),
            )
            stored = self._asked(mine)
        return read_look(stored, search.rule)

    def _asked(self, mine: Job) -> Mapping[str, Any]:
        """Ask a look, store what became of it, and return that."""
        rows: dict[int, dict[str, Any]] = {}

        def keep(place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
            rows[place] = answer_row(sample, repeat, generation, prompt)

        result = Generated()
        generate(mine, self._shelf, result, keep, self._quiet, gate=self._gate)
        self._is_cold = False
        measured = result.measured or {}
        look = _written(mine, [rows[place] for place in sorted(rows)], measured, died=result.restarts > 0)
        self._shelf.append_measured(mine.digest, mine.conditions, {**measured, "look": look})
        return look


def _conditions(job: Job, load_name: str) -> dict[str, str]:
    """Return the conditions of a look's answers: those of its job, with its load."""
    return {**job.conditions, "load": load_name}


def stored_look(job: Job, shelf: Shelf, load_name: str) -> Mapping[str, Any] | None:
    """Return what became of a look, as it is stored; None where it must be asked. It is named by `Search.condition`."""
    stored = shelf.measured(job.digest, _conditions(job, load_name)) or {}
    return None if job.config.reuse == "never" else stored.get("look")


def read_look(written: Mapping[str, Any], rule: Rule) -> Look:
    """Return a stored look as the rule judges it. Raise Unknown for a limit on a time that is not known."""
    limits = {name: TIMES.index(limited(name)) for name in rule.limits}
    sent = []
    for due_s, ended_s, times in written["sent"]:
        if times is not None and (unknown := next((one for one, at in limits.items() if times[at] is None), None)):
            raise Unknown(unknown)
        sent.append(Sent(due_s, ended_s, None if times is None else {one: times[at] for one, at in limits.items()}))
    return Look(written["length_s"], sent, written["died"], written["late_share"])


def _written(
    mine: Job, rows: Sequence[Mapping[str, Any]], measured: Mapping[str, Any], *, died: bool
) -> dict[str, Any]:
    """Return what became of a look as it is stored: times in seconds, in the order in which requests were due."""
    sent = _sent(rows)
    assert mine.arrivals is not None
    due = list(mine.arrivals.due())
    written = []
    for due_s, row in zip(due, sent, strict=False):
        took = (row["timing"] or {}).get("latency_s") or 0.0
        times = waited(row)
        kept = None if times is None else [times[name] for name in TIMES]
        written.append([round(due_s, 6), round(due_s + took, 6), kept])
    late = sum(((row["timing"] or {}).get("late_s") or 0.0) > LATE_S for row in sent)
    late_share = max(0, late - measured.get("held", 0)) / len(sent) if sent else 0.0
    return {"length_s": due[len(sent)], "died": died, "late_share": late_share, "sent": written}


def _sent(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of what was sent: not what could not be read, nor an answer that two questions share."""
    sent, seen = [], set()
    for row in rows:
        if row["error"] is not None and row["error"]["kind"] == "bad_input":
            continue
        if (timing := row["timing"]) is not None:
            name = (row["key"], timing["sent_at"], timing["latency_s"])
            if name in seen:
                continue
            seen.add(name)
        sent.append(row)
    return sent
