"""Asks an engine everything that is missing and starts it again where it dies or hangs: candidates and judges alike."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from backends.api import Endpoint, Failure, Generation, Mark
from backends.fleet import Fleet
from runner.asking import load
from runner.asking.engines import NeedsEngine
from runner.asking.open_load import OpenTally, open_load
from runner.asking.prefetch import short_turns
from runner.base.errors import JobFailed
from runner.base.progress import Progress
from runner.config.request_form import request_form
from runner.planning.arrivals import Arrivals

log = logging.getLogger(__name__)
OnAnswer = Callable[[load.Ask, Generation], load.Ask | None]


@dataclass
class Starts:
    """What became of the engines while they were asked. It is filled on the way, so that an interruption loses nothing.

    `started` counts engines, also those that were started again; `restarts` how often that was; `load_s` is in seconds.
    `warmed`: an earlier part of the same questions has warmed up the engine, so that only one started anew needs it.
    """

    started: int = 0
    restarts: int = 0
    load_s: float | None = None
    warmed: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AskAll:
    """How one candidate or judge is asked. Its config says how often, how long and with how many restarts.

    `acquire` returns running engines and how many were started for it. `setting` names a setting of the backend as the
    user writes it. `warmup` requests are asked first and not counted. `probes`: an engine that dies has answered, since
    what it was asked was too large. `measured` learns of each load what it took. `endpoint` completes an address.
    `begins` is called when the engine is warm, before what is measured. `arrivals`: requests are sent when they are
    due; after a restart their times begin anew.
    """

    who: NeedsEngine
    starts: Starts
    progress: Progress
    on_answer: OnAnswer
    acquire: Callable[[], tuple[Fleet, int]]
    doing: str = "asking"
    setting: Callable[[str], str] = "backend.{}".format
    warmup: int = 0
    probes: bool = False
    gate: load.Gate | None = None
    measured: Callable[[load.Tally, Fleet, Mark], None] | None = None
    endpoint: Callable[[Endpoint], Endpoint] = lambda endpoint: endpoint
    begins: Callable[[], None] = lambda: None
    arrivals: Arrivals | None = None

    def ask(self, asks: Iterator[load.Ask]) -> None:
        """Ask everything. Nothing is started where there is nothing to ask.

        Raise JobFailed where the engine does not start, dies more often than `max_restarts` allows, or dies while it is
        warmed up; what was not answered then is in none of the calls of `on_answer`.
        """
        first = next(asks, None)
        if first is None:
            return
        before = self.starts.started
        engine = self._acquired()
        asks = itertools.chain([first], asks)
        try:
            if not self.starts.warmed or self.starts.started > before:
                self._warm_up(engine, first)
        except load.EngineGone as error:
            report = self._ended(engine, error)
            if not self.probes:
                raise JobFailed(f"the engine died while it was warmed up\n{report.message}") from None
            self.on_answer(first, Generation(first.key, None, report))
            next(asks)
        while (gone := self._until_gone(engine, asks)) is not None:
            crash = self._ended(engine, gone)
            if crash.kind == "over_budget":  # the time of its machine: another would cost more
                raise JobFailed(crash.message)
            if self.probes:  # what it was asked was too large: that is the answer
                for ask in gone.unanswered:
                    self.on_answer(ask, Generation(ask.key, None, crash))
                if (following := next(asks, None)) is None:
                    return
                asks = itertools.chain([following], asks)
            elif self.starts.restarts >= self.who.config.backend.max_restarts:
                raise JobFailed(self._died_too_often(crash.message))
            else:
                asks = itertools.chain(gone.unanswered, asks)
            engine = self._restarted(crash.message, first)

    def _acquired(self) -> Fleet:
        engine, started = self.acquire()
        self.starts.started += started
        if self.starts.load_s is None:
            self.starts.load_s = engine.load_s
        return engine

    def _until_gone(self, engine: Fleet, asks: Iterator[load.Ask]) -> load.EngineGone | None:
        """Ask one engine until there is nothing left or it is gone; whatever ends it, what was measured is kept."""
        self.begins()  # before the mark, from which time is counted
        self.progress.say(self.doing)
        self.progress.begin()
        tally = load.Tally() if self.arrivals is None else OpenTally()
        mark = engine.mark() if self.measured is not None else None
        try:
            self._load(engine, asks, tally, self.on_answer)
        except load.EngineGone as gone:
            return gone
        finally:
            if self.measured is not None and mark is not None and tally.asked:
                self.measured(tally, engine, mark)
        return None

    def _ended(self, engines: Fleet, gone: load.EngineGone) -> Failure:
        """Say why an engine is gone; one that hangs is ended first, so that the pool starts another."""
        url = gone.hung.url if gone.hung is not None else None
        hung = [engine for engine in engines.engines if engine.endpoint.url == url and engine.alive()]
        if not hung:
            return engines.crash_report()
        hung[0].close()
        limit = f"{self.who.config.backend.request_timeout_s:g} s ({self.setting('request_timeout_s')})"
        what = f"no answer within {limit}, nor to a short question after that; its log: {hung[0].log_path}"
        return Failure("engine_died", f"the engine hung: {what}", retryable=True)

    def _restarted(self, report: str, first: load.Ask) -> Fleet:
        """Start the engine anew and warm it up, and say so: in the log, and in the notes."""
        starts = self.starts
        starts.restarts += 1
        log.warning("%s: %s\n  it is started again; the finished answers are kept", self.progress.title, report)
        starts.notes.append(f"the engine died and was started again ({starts.restarts}x): {report.splitlines()[0]}")
        self.progress.rest()
        engine = self._acquired()
        try:
            self._warm_up(engine, first)
        except load.EngineGone as gone:
            report = self._ended(engine, gone).message
            raise JobFailed(f"the engine died again while it was warmed up\n{report}") from None
        return engine

    def _died_too_often(self, report: str) -> str:
        times = f"for the {self.starts.restarts + 1}. time" if self.starts.restarts else "while it was asked"
        limit = f"{self.setting('max_restarts')}={self.who.config.backend.max_restarts}"
        return f"the engine died {times} ({limit})\n{report}"

    def _warm_up(self, engine: Fleet, first: load.Ask) -> None:
        """Ask the first question a few times, without counting: first calls allocate and compile, batches too."""
        self.starts.warmed = True
        if not self.warmup:
            return
        self.progress.say("warming up")
        failed: list[Failure] = []

        def on_answer(_ask: load.Ask, generation: Generation) -> None:
            if generation.error is not None:
                failed.append(generation.error)

        self._load(engine, itertools.repeat(first, self.warmup), load.Tally(), on_answer, retries=0)
        if failed:
            log.warning(
                "%s: %d of %d warm-up requests failed: %s",
                self.progress.title,
                len(failed),
                self.warmup,
                failed[0].message,
            )

    def _load(
        self,
        engine: Fleet,
        asks: Iterator[load.Ask],
        tally: load.Tally,
        on_answer: OnAnswer,
        retries: int | None = None,
    ) -> None:
        backend = self.who.config.backend
        how: load.How = {
            "retries": backend.retries if retries is None else retries,
            "timeout_s": backend.request_timeout_s,
            "alive": engine.alive,
            "on_answer": on_answer,
            "gate": self.gate,
            "may_hang": bool(engine.log_paths),
        }
        endpoints = [self.endpoint(self._formed(endpoint)) for endpoint in engine.endpoints]
        with short_turns():
            if self.arrivals is not None and isinstance(tally, OpenTally):
                asyncio.run(open_load(iter(asks), endpoints, tally, self.arrivals, **how))
            else:
                asyncio.run(load.load(iter(asks), endpoints, tally, concurrency=self.who.config.concurrency, **how))

    def _formed(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that is sent requests in the form that the model's config asks for."""
        form = request_form(self.who.config)
        if self.who.config.backend.base_url:  # whose own words are a part of the form, which may take them back
            return dataclasses.replace(endpoint, omit=form.omit, rename=form.rename, extra=form.extra)
        rename, extra = {**endpoint.rename, **form.rename}, {**endpoint.extra, **form.extra}
        return dataclasses.replace(endpoint, omit=form.omit, rename=rename, extra=extra)


def allowed_failures(max_failed: float | None, total: int) -> float | None:
    """Return how many of `total` may fail: a share below 1, a number from 1 on, None for all."""
    return max_failed if max_failed is None or max_failed >= 1 else max_failed * total


def too_many(allowed: float | None, failed: int, total: int) -> bool:
    """Say whether so many have failed that the rest isn't asked; where nothing is left to ask it is never too many."""
    return allowed is not None and allowed < failed < total
