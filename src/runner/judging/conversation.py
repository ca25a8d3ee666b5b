"""Asks one judge everything that is not stored yet: a question, and where its reply is no verdict, one for a repair."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backends.api import Failure, Generation, GenerationRequest, ImagePart, Message, TextPart
from backends.fleet import Fleet
from backends.process.endpoint import RunningEngine
from metrics.rubric import InvalidVerdict, Reply, Rubric, Turn
from runner import load, store
from runner.datasets.encoded import BadImage
from runner.engines import acquire
from runner.errors import JobFailed
from runner.judging import pictures
from runner.judging.budget import Spending
from runner.judging.planned import PlannedJudge
from runner.progress import Progress
from runner.store import Shelf


@dataclass
class Conversation:
    """One question to a judge and what came of it; equal questions share one.

    `asked` are the keys of its requests so far, the last of which is open until `reply` or `failure` is set.
    """

    turns: tuple[Turn, ...]
    images: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    reply: Reply | None = None
    problem: str = ""
    failure: Failure | None = None


class Interview:
    """All conversations with one judge. Replies are stored as they come, and taken from the store where they are."""

    def __init__(self, judge: PlannedJudge, rubric: Rubric, shelf: Shelf, spending: Spending, image_side: int) -> None:
        """Ask nothing yet."""
        self.judge, self.rubric, self.shelf, self.spending = judge, rubric, shelf, spending
        self.image_side = image_side
        self.schema = rubric.schema if judge.settings.response_schema else None
        self.fresh: set[str] = set()
        self.notes: list[str] = []
        self._failures: dict[str, Failure] = {}

    def open(self, turns: tuple[Turn, ...], images: tuple[str, ...]) -> Conversation:
        """Begin a conversation; a picture that can't be read fails it."""
        one = Conversation(turns, images)
        try:
            one.asked.append(self._key(one))
        except BadImage as error:
            one.failure = Failure("bad_input", str(error))
        return one

    def hold(self, conversations: Sequence[Conversation], progress: Progress) -> None:
        """Bring every conversation to a verdict, or to why there is none."""
        left = [one for one in conversations if one.failure is None]
        for round_number in range(1 + self.judge.settings.repairs):
            self._ask([one for one in left if self.stored(one.asked[-1]) is None], progress)
            left = [one for one in left if self._take(one, last=round_number == self.judge.settings.repairs)]

    def stored(self, key: str) -> Generation | None:
        """Return what the judge replied to a request, whenever that was."""
        return self.shelf.find(key, None)

    def request(self, one: Conversation, key: str) -> GenerationRequest:
        """Make the open request of a conversation. Raise BadImage."""
        shown = [part for part, _ in pictures.read(one.images, self.image_side)] if one.images else []
        return GenerationRequest(
            key=key,
            messages=_messages(one.turns, shown),
            sampling=self.judge.sampling,
            response_schema=self.schema,
        )

    def _take(self, one: Conversation, *, last: bool) -> bool:
        """Read the newest reply; say whether the judge is to be asked again."""
        generation = self.stored(one.asked[-1])
        if generation is None:
            one.failure = self._failures.get(one.asked[-1], Failure("connection", "not asked"))
            return False
        one.texts.append(generation.text or "")
        try:
            one.reply = self.rubric.read(generation.text or "")
        except InvalidVerdict as error:
            cut = " (the reply was cut off: raise max_tokens)" if generation.finish_reason == "length" else ""
            one.problem = f"{error}{cut}"
            if last:
                return False
            one.turns = self.rubric.ask_again(one.turns, one.texts[-1], one.problem)
            one.asked.append(self._key(one))
            return True
        return False

    def _key(self, one: Conversation) -> str:
        """Name everything that decides a reply. Raise BadImage."""
        digests = [digest for _, digest in pictures.read(one.images, self.image_side)] if one.images else []
        sampling = dataclasses.asdict(self.judge.sampling)
        return store.digest([dict(self.judge.identity), one.turns, digests, sampling, self.schema])

    # --------------------------------------------------------------------------------------------- asking

    def _ask(self, conversations: Iterable[Conversation], progress: Progress) -> None:
        """Ask the open requests of these conversations, each once; an engine that dies is started again."""
        unique = {one.asked[-1]: one for one in conversations}
        asks: Iterator[load.Ask] = (
            load.Ask(key, key, 0, functools.partial(self.request, one, key)) for key, one in unique.items()
        )
        first = next(asks, None)
        if first is None:
            return
        asks = _chained([first], asks)
        report = Failure("start_failed", "")
        for starts in range(1 + self.judge.config.backend.max_restarts):
            try:
                engine = self._engine(progress)
            except JobFailed as error:
                report = Failure("start_failed", str(error))
                break
            progress.say("judging")
            try:
                asyncio.run(
                    load.load(
                        asks,
                        engine.endpoints,
                        load.Tally(),
                        concurrency=self.judge.settings.concurrency,
                        retries=self.judge.settings.retries,
                        timeout_s=self.judge.settings.request_timeout_s,
                        alive=engine.alive,
                        on_answer=functools.partial(self._on_answer, progress),
                        gate=self.spending,
                    )
                )
            except load.EngineGone as gone:
                report = engine.crash_report()
                self.notes.append(f"judge {self.judge.name} died ({starts + 1}x): {report.message.splitlines()[0]}")
                self._failures |= {ask.key: report for ask in gone.unanswered}
                asks = _chained(gone.unanswered, asks)
            else:
                return
        self._failures |= {ask.key: report for ask in asks}

    def _engine(self, progress: Progress) -> Fleet:
        """Return what is asked. An endpoint takes no place among the engines: the candidates' stay warm."""
        if (endpoint := self.judge.endpoint) is not None:
            return Fleet([RunningEngine(self.judge.spec, endpoint)])
        return acquire(self.judge, progress.say)[0]

    def _on_answer(self, progress: Progress, ask: load.Ask, generation: Generation) -> None:
        if generation.error is None:
            kept = dataclasses.replace(generation, conditions=self.judge.conditions)
            self.shelf.append(ask.key, self.judge.conditions, kept)
            self.fresh.add(ask.key)
            self._failures.pop(ask.key, None)
        else:
            self._failures[ask.key] = generation.error
        progress.advance(failed=generation.error is not None)


def _chained(first: Iterable[load.Ask], rest: Iterator[load.Ask]) -> Iterator[load.Ask]:
    yield from first
    yield from rest


def _messages(turns: Sequence[Turn], shown: Sequence[ImagePart]) -> tuple[Message, ...]:
    """Return turns as messages; pictures go before the first text of the user."""
    messages = []
    left: Mapping[str, Sequence[ImagePart]] = {"user": shown}
    for role, text in turns:
        messages.append(Message(role, (*left.get(role, ()), TextPart(text))))
        if role == "user":
            left = {}
    return tuple(messages)
