"""Jobs in blocks over time (`repeats_over_time=3`): A B C, C B A, A B C in place of A A A B B B C C C.

A machine that becomes slower then does so for all candidates, and the blocks of each show it. Each question is asked
once all the same: documents are dealt to the blocks at random, in an order that all candidates share.

Every other block goes backwards. Always in the same order, the last candidate would be asked later than the first by
the same in every block, and a machine that becomes slower all the time would make it look slower, in all blocks alike.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from omegaconf import DictConfig

from backends.api import Generation
from runner.base.errors import Problem, Refused
from runner.config.over_time import KEY, OFF
from runner.datasets.api import Sample
from runner.jobs.blocks import Block, Timed
from runner.planning.job import Job
from runner.sweeps.dry_plan import earlier_load_s
from runner.sweeps.racing import blocks as racing_blocks
from runner.sweeps.run import UnderWay
from runner.sweeps.together import Part

log = logging.getLogger(__name__)
SEED = 0  # of the order of documents: the same in every command, so that one that goes on has the same blocks


def refuse(jobs: Sequence[Job]) -> None:
    """Refuse jobs that can't be measured in blocks. Raise Refused with all reasons."""
    if problems := list(dict.fromkeys(_problems(jobs))):
        raise Refused(problems)


def _problems(jobs: Sequence[Job]) -> Iterator[Problem]:
    wanted = jobs[0].config.repeats_over_time
    if any(job.config.repeats_over_time != wanted for job in jobs):
        what = "the jobs of a sweep are asked in turns, all in as many blocks"
        yield Problem(what, KEY, "one value; sweeps with others are commands of their own")
    for job in jobs:
        if wanted > 1 and (job.dataset.probes or job.dataset.is_search):
            yield Problem("this dataset looks for a limit, and not for how long answers take", KEY, OFF)
        documents = len({sample.document for sample in job.dataset})
        if job.config.repeats_over_time > 1 and documents < job.config.repeats_over_time:
            what = f"a block needs a document, and the dataset has {documents}"
            yield Problem(what, KEY, f"{KEY}={documents} or more documents" if documents > 1 else OFF)


def dealt(job: Job) -> list[list[Sample]]:
    """Return the samples of each block, in the order in which they are asked; documents stay whole."""
    documents, count = racing_blocks.order(job.dataset, SEED), job.config.repeats_over_time
    ends = [round(number * len(documents) / count) for number in range(count + 1)]
    return [[sample for document in documents[begin:end] for sample in document] for begin, end in pairwise(ends)]


def forecast(jobs: Sequence[Job]) -> str:
    """Say how many blocks there are, and what changing engines between them costs."""
    first = jobs[0].config
    specs = {job.spec: job for job in jobs if not job.config.backend.base_url}
    sentence = f"{KEY}: {first.repeats_over_time} blocks, in each of which {len(jobs)} candidates are asked in turns"
    if len(specs) <= first.pool.max_engines:
        return f"{sentence}; no block starts an engine anew"
    # Every other block goes backwards, so it begins with the engines that are still there.
    count = (first.repeats_over_time - 1) * (len(specs) - first.pool.max_engines)
    loads = [earlier_load_s(job) for job in specs.values()]
    known = [load for load in loads if load is not None]
    if len(known) < len(loads):
        return f"{sentence}; they start up to {count} engines anew, in unknown time (pool.max_engines keeps more warm)"
    taken = count * statistics.fmean(known)
    return f"{sentence}; they start up to {count} engines anew, about {taken:.0f} s (pool.max_engines keeps more warm)"


def single(cfg: DictConfig, job: Job) -> float | None:
    """Run the only job of a command in blocks and return its objective. Raise RunnerError where it fails."""
    turn = Turn(UnderWay(cfg, job))
    del job  # its samples are let go before the report is made
    _run([turn])
    if turn.error is not None:
        raise turn.error
    return turn.under_way.objective


def run(begun: Sequence[UnderWay], _planned: int) -> None:
    """Ask jobs that have begun block by block, then complete them. What goes wrong with one ends that one alone."""
    log.info("%s", forecast([one.job for one in begun]))
    _run([Turn(one) for one in begun])


class Turn:
    """A candidate whose turn comes once in each block: its blocks, and what went wrong with it."""

    def __init__(self, under_way: UnderWay) -> None:
        """Deal its documents; ask nothing yet."""
        self.under_way, self.is_over = under_way, False
        self.error: Exception | None = None
        self._seen: set[str] = set()
        self._place = {sample.id: number for number, sample in enumerate(under_way.job.dataset)}
        self._parts = dealt(under_way.job)
        repeats = under_way.job.config.sampling.repeats
        self._blocks = [Block(len({sample.document for sample in part}), len(part) * repeats) for part in self._parts]

    def ask(self, number: int) -> None:
        """Ask the block of this number."""
        block, repeats = self._blocks[number], self.under_way.job.config.sampling.repeats

        def keep(_place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
            self.under_way.keep(self._place[sample.id] * repeats + repeat, sample, repeat, generation, prompt)
            timing = generation.timing
            # Two samples may be the same question: the second one's answer is the first one's, measured once.
            if generation.error is None and timing and timing.latency_s > 0 and generation.key not in self._seen:
                self._seen.add(generation.key)
                prompt_tokens, tokens = generation.prompt_tokens, generation.completion_tokens
                lengths = None if prompt_tokens is None or tokens is None else (prompt_tokens, tokens)
                block.times.append(Timed(timing.sent_at, timing.latency_s, sample.document, lengths))

        with self._told():
            job = self.under_way.job
            self.under_way.ask(replace(job, dataset=Part(job.dataset, tuple(self._parts[number]))), keep)

    def finish(self) -> None:
        """Complete the job."""
        with self._told():
            if self.under_way.generated.timed:
                self.under_way.record.measured_in_blocks(self._blocks)
            self.under_way.finish()
        self.is_over = True

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Let what goes wrong within be told by the job's folder, and be the end of this candidate alone."""
        try:
            with self.under_way.told_if_it_fails():
                yield
        except Exception as error:  # noqa: BLE001 - `told_if_it_fails` has told it
            self.error, self.is_over = error, True
        except BaseException:
            self.is_over = True
            raise


def _run(turns: Sequence[Turn]) -> None:
    try:
        for number in range(turns[0].under_way.job.config.repeats_over_time):
            for turn in turns[:: -1 if number % 2 else 1]:
                if not turn.is_over:
                    turn.ask(number)
        for turn in turns:
            if not turn.is_over:
                turn.finish()
    except BaseException:
        for turn in turns:
            if not turn.is_over:
                turn.under_way.interrupted()
        raise
