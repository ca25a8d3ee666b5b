"""The rounds of a race: every candidate that is left answers the next block of documents, then all are compared.

All jobs begin first, so that each has its folder; then they are asked in turns. Candidates with the same engine stand
side by side, and every second round goes backwards, so that the engine that is warm goes on. A candidate is *stopped*
while it is shown to be worse than one that may be recommended. Where that one turns out to miss a constraint, or
fails, the stopped one is asked on. The race is over when each candidate was asked everything or is stopped, or, if no
constraint waits for a figure, as soon as a single candidate can be recommended.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backends.api import Generation
from metrics.api import Case, Measure, Metric
from runner.config.report_settings import Constraint, parse_constraints
from runner.datasets.api import Sample
from runner.jobs.folder import JobFolder
from runner.jobs.rows import answer_row, case
from runner.report.decision import is_met
from runner.sweeps.racing import blocks, checks
from runner.sweeps.racing.standings import Standings
from runner.sweeps.run import UnderWay
from runner.sweeps.together import Part

log = logging.getLogger(__name__)


class Lane:
    """A candidate of a race: how far it was asked, its scores, and whether it is stopped.

    `worse` is how many documents showed that it is worse than others, and the one of whom they showed it most.
    """

    def __init__(self, under_way: UnderWay, standings: Standings, metric: Metric, measure: Measure) -> None:
        """Begin at the start."""
        self.under_way, self._standings, self._metric, self._measure = under_way, standings, metric, measure
        self.asked = self.block = 0
        self.failed = self.finished = False
        self.may_win = True  # nothing that is known so far excludes that it is recommended
        self.scores = standings.scores()
        self.worse: tuple[int, Lane] | None = None
        self._place = {sample.id: number for number, sample in enumerate(under_way.job.dataset)}

    @property
    def title(self) -> str:
        """Return its name for people."""
        return self.under_way.job.title

    @property
    def is_stopped(self) -> bool:
        """Whether it is shown to be worse than others that may be recommended."""
        return self.worse is not None

    def compare(self, rivals: Sequence[Lane]) -> None:
        """Look whether it is shown to be worse than these, the candidates that may be recommended."""
        found = self._standings.worse_after(self.scores, self.asked, [(rival.scores, rival.asked) for rival in rivals])
        self.worse = None if found is None else (found[0], rivals[found[1]])

    def ask(self, samples: Sequence[Sample], end: int) -> None:
        """Ask about the documents of a block, of which the last is number `end`, and score the answers."""
        cases: list[Case] = []
        repeats = self.under_way.job.config.sampling.repeats

        def keep(_place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
            self.under_way.keep(self._place[sample.id] * repeats + repeat, sample, repeat, generation, prompt)
            cases.append(case(answer_row(sample, repeat, generation, prompt)))

        ordered = tuple(sorted(samples, key=lambda sample: self._place[sample.id]))
        job = self.under_way.job
        self.under_way.ask(replace(job, dataset=Part(job.dataset, ordered)), keep)
        values: dict[str, list[float]] = defaultdict(list)
        for score in self._metric.score(cases):
            if score.name == self._measure.name and not score.part and score.value is not None:
                values[score.sample_id].append(score.value)
        means = {sample: sum(several) / len(several) for sample, several in values.items()}
        self._standings.enter(self.scores, means)
        self.asked, self.block = end, self.block + 1


def run(begun: Sequence[UnderWay], planned: int) -> None:
    """Run the race of jobs that have begun. `planned` is how many were to begin."""
    Race(begun, planned).run()


class Race:
    """The race of jobs that have begun. `planned` is how many were to begin: some may have failed at once."""

    def __init__(self, begun: Sequence[UnderWay], planned: int) -> None:
        """Read nothing yet but what earlier answers tell of times."""
        jobs = [one.job for one in begun]
        settings, race = jobs[0].config.report, jobs[0].config.race
        self.documents = blocks.order(jobs[0].dataset, race.seed)
        self.blocks = blocks.planned(jobs, keep=True)
        names = [[sample.id for sample in samples] for samples in self.documents]
        self.error, self.margin = race.error, settings.margin
        metrics, measures = zip(*(checks.decided(job) for job in jobs), strict=True)
        self.measure: Measure = measures[0]
        self.standings = Standings(names, self.measure, margin=self.margin, error=self.error, candidates=planned)
        self.lanes = [
            Lane(one, self.standings, metric, self.measure) for one, metric in zip(begun, metrics, strict=True)
        ]
        self._in_order, self._planned = tuple(self.lanes), planned
        self._constraints = parse_constraints(settings.constraints)

    def run(self) -> None:
        """Ask until it is decided, then complete all jobs. What goes wrong with one job ends that one alone."""
        log.info("%s", self.blocks)
        for lane in self.lanes:
            lane.may_win = self._meets(lane, [one for one in self._constraints if not one.is_metric])
        try:
            while self._left() or self._taken_up():
                self._round()
                if self._is_decided():
                    break
            for lane in self._in_order:
                self._finish(lane)
        except BaseException:
            for lane in self.lanes:
                if not lane.failed and not lane.finished:
                    lane.under_way.interrupted()
            raise

    def _left(self) -> list[Lane]:
        """Return the candidates that have documents before them."""
        return [lane for lane in self.lanes if self._is_asked_on(lane) and not lane.is_stopped]

    def _is_asked_on(self, lane: Lane) -> bool:
        return not lane.failed and not lane.finished and lane.asked < len(self.documents)

    def _round(self) -> None:
        """Ask each candidate that is left about its next block, then compare all."""
        self.lanes.reverse()  # the engine that answered last goes on
        for lane in self._left():
            end = self.blocks.ends[lane.block]
            samples = [sample for group in self.documents[lane.asked : end] for sample in group]
            lane.failed = True  # unless nothing goes wrong
            with contextlib.suppress(Exception), lane.under_way.told_if_it_fails():
                lane.ask(samples, end)
                lane.failed = False
        self._compare()

    def _compare(self) -> None:
        """Compare each candidate that was not asked everything with those that may be recommended."""
        rivals = [lane for lane in self.lanes if lane.may_win and not lane.failed]
        for lane in filter(self._is_asked_on, self.lanes):
            was_stopped = lane.is_stopped
            lane.compare([rival for rival in rivals if rival is not lane])
            if lane.is_stopped and not was_stopped:
                log.info("%s: %s", lane.title, self._reason(lane))
            elif was_stopped and not lane.is_stopped:
                log.info("%s: asked on, since those that are better can't be recommended", lane.title)

    def _is_decided(self) -> bool:
        """Whether a single candidate can still be recommended, and no figure that is measured later may change that."""
        possible = [lane for lane in self.lanes if lane.may_win and not lane.is_stopped]
        waits = any(one.is_metric for one in self._constraints)
        # A candidate that failed may be taken up by the same command; and one that is better than nobody may fail at
        # everything, for which none is recommended.
        some_stopped = any(lane.is_stopped for lane in self.lanes)
        some_failed = len(self.lanes) < self._planned or any(lane.failed for lane in self.lanes)
        return len(possible) == 1 and some_stopped and not waits and not some_failed

    def _taken_up(self) -> bool:
        """Complete the candidates that were asked everything; whether stopped ones must be asked on after all."""
        for lane in self._in_order:
            if lane.asked == len(self.documents):
                self._finish(lane)
        self._compare()
        return bool(self._left())

    def _finish(self, lane: Lane) -> None:
        """Complete a candidate's job, and see whether it meets the constraints."""
        if lane.failed or lane.finished:
            return
        lane.under_way.record.raced(*self._outcome(lane))
        lane.finished = True
        with contextlib.suppress(Exception), lane.under_way.told_if_it_fails():
            lane.under_way.finish()
            lane.may_win = self._meets(lane, self._constraints)
            return
        lane.failed = True

    def _meets(self, lane: Lane, constraints: Sequence[Constraint]) -> bool:
        folder = JobFolder(lane.under_way.folder.path)
        return all(is_met(folder, constraint) for constraint in constraints)

    def _outcome(self, lane: Lane) -> tuple[dict[str, Any], str | None]:
        """Return what a job's record keeps of the race, and what people are told of it."""
        generated = lane.under_way.generated
        after, rival = lane.worse or (None, None)
        return {
            "documents": lane.asked,
            "of": len(self.documents),
            "questions": len(generated.keys) + len(generated.failures),
            "stopped": lane.is_stopped,
            "worse_than": rival.under_way.folder.path.name if rival else None,
            "decided_after": after,
            "measure": self.measure.name,
            "margin": self.margin,
            "error": self.error,
            "candidates": self._planned,
        }, self._reason(lane)

    def _reason(self, lane: Lane) -> str | None:
        """Say why a candidate was not asked everything; None if it was."""
        asked = f"{lane.asked} of {len(self.documents)} documents"
        if lane.worse is not None:
            _, rival = lane.worse
            shared = min(lane.asked, rival.asked)
            difference = self.standings.difference(lane.scores, rival.scores, shared)
            return (
                f"race: stopped after {asked}, its figures are of these: by {self.measure.name} it is worse than "
                f"others, above all {rival.title}, on all documents together by more than {self.margin:g} "
                f"({difference:+.3f} on these {shared}; race.error={self.error:g})"
            )
        if lane.asked < len(self.documents):
            return (
                f"race: ended after {asked}, its figures are of these: no other candidate could be recommended any "
                f"more (race.error={self.error:g}; race=false asks the rest)"
            )
        return None
