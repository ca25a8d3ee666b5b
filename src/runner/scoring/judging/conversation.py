"""Asks one judge everything that is not stored yet: a question, and where its reply is no verdict, one for a repair."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends.api import Failure, Generation, GenerationRequest, ImagePart, Message, TextPart
from backends.fleet import Fleet
from backends.process.endpoint import RunningEngine
from metrics.rubric import InvalidVerdict, Reply, Rubric, Turn
from runner import store
from runner.asking import load
from runner.asking.ask_all import AskAll, Starts, allowed_failures, too_many
from runner.asking.engines import acquire
from runner.base.errors import JobFailed
from runner.base.progress import Progress
from runner.datasets.encoded import BadImage
from runner.scoring.judging import pictures
from runner.scoring.judging.budget import Spending
from runner.scoring.judging.planned import PlannedJudge
from runner.store import Shelf

log = logging.getLogger(__name__)


@dataclass
class Conversation:
    """One question to a judge and what came of it; equal questions share one.

    `asked` are the keys of its requests so far, the last of which is open until `reply` or `failure` is set. `earlier`
    is what an earlier command heard, where that was no verdict and is asked about anew.
    """

    turns: tuple[Turn, ...]
    images: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    reply: Reply | None = None
    problem: str = ""
    failure: Failure | None = None
    earlier: Conversation | None = None

    def begin_anew(self, turns: tuple[Turn, ...]) -> None:
        """Go back to the first request, and remember what there was."""
        self.earlier = dataclasses.replace(self)
        self.turns, self.asked, self.texts, self.problem = turns, self.asked[:1], [], ""

    def fail(self, failure: Failure) -> None:
        """Keep why there is no reply; an earlier reply that was no verdict still stands then."""
        if self.earlier is None:
            self.failure = failure
            return
        before = self.earlier
        self.turns, self.asked, self.texts, self.problem = before.turns, before.asked, before.texts, before.problem


class Interview:
    """All conversations with one judge. Replies are stored as they come, and taken from the store where they are.

    `fresh` are the requests that this command has asked, also for other jobs: a reply that is no verdict is asked about
    anew by each command, but only once.
    """

    def __init__(
        self,
        judge: PlannedJudge,
        rubric: Rubric,
        shelf: Shelf,
        spending: Spending,
        image_side: int,
        fresh: set[str] | None = None,
    ) -> None:
        """Ask nothing yet."""
        self.judge, self.rubric, self.shelf, self.spending = judge, rubric, shelf, spending
        self.image_side = image_side
        self.schema = rubric.schema if judge.settings.response_schema else None
        self.fresh: set[str] = set() if fresh is None else fresh
        self.starts = Starts()
        self.total = 0
        self._failures: dict[str, Failure] = {}
        self._ended: Failure | None = None

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the engine."""
        return [f"judge {self.judge.name}: {note}" for note in self.starts.notes]

    def open(self, turns: tuple[Turn, ...], images: tuple[str, ...]) -> Conversation:
        """Begin a conversation; a picture that can't be read fails it."""
        one = Conversation(turns, images)
        try:
            one.asked.append(self._key(one))
        except BadImage as error:
            one.failure = Failure("bad_input", str(error))
        return one

    def missing(self, conversations: Sequence[Conversation]) -> list[Conversation]:
        """Take what the store holds of conversations; return those of which something must be asked.

        What ended without a verdict in an earlier command is among them, from its first request on.
        """
        self.total = len(conversations)
        return [one for one in conversations if one.failure is None and self._goes_on(one)]

    def hold(self, missing: Sequence[Conversation], progress: Progress) -> None:
        """Bring conversations to a verdict, or to why there is none."""
        left = list(missing)
        while left:
            self._ask({one.asked[-1]: one for one in left if self._heard(one) is None}, progress)
            left = [one for one in left if self._take(one)]

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

    def _goes_on(self, one: Conversation) -> bool:
        """Follow what is stored of a conversation; say whether something must be asked."""
        turns = one.turns
        while (generation := self.stored(one.asked[-1])) is not None:
            if self._read(one, generation):
                continue
            if one.reply is not None or one.asked[-1] in self.fresh:
                return False
            one.begin_anew(turns)
            return True
        return True

    def _heard(self, one: Conversation) -> Generation | None:
        """Return the reply to the open request, of an earlier command only where that isn't asked anew."""
        key = one.asked[-1]
        return self.stored(key) if one.earlier is None or key in self.fresh else None

    def _take(self, one: Conversation) -> bool:
        """Read the newest reply; say whether the judge is to be asked again."""
        generation = self._heard(one)
        if generation is None:
            failure = self._failures.get(one.asked[-1]) or self._ended
            one.fail(failure or Failure("connection", "not asked"))
            return False
        return self._read(one, generation)

    def _read(self, one: Conversation, generation: Generation) -> bool:
        """Read a reply; where it is no verdict and a repair is left, open that request and return True."""
        one.texts.append(generation.text or "")
        try:
            one.reply = self.rubric.read(generation.text or "")
        except InvalidVerdict as error:
            cut = " (the reply was cut off: raise max_tokens)" if generation.finish_reason == "length" else ""
            one.problem = f"{error}{cut}"
            if len(one.asked) > self.judge.settings.repairs:
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

    def _ask(self, requests: Mapping[str, Conversation], progress: Progress) -> None:
        """Ask open requests, each once, as a candidate would be asked; nothing once that had to be given up."""
        if self._ended is not None:
            return
        asking = AskAll(
            self.judge,
            self.starts,
            progress,
            functools.partial(self._on_answer, progress),
            functools.partial(self._engine, progress),
            doing="judging",
            setting=self.judge.setting,
            gate=self.spending,
        )
        try:
            asking.ask(
                load.Ask(key, key, 0, functools.partial(self.request, one, key)) for key, one in requests.items()
            )
        except JobFailed as error:
            self._ended = Failure("engine_died", str(error))
            log.warning("judge %s: %s\n  what is left stays without a verdict", self.judge.name, error)

    def _engine(self, progress: Progress) -> tuple[Fleet, int]:
        """Return what is asked. An endpoint takes no place among the engines: the candidates' stay warm."""
        if (endpoint := self.judge.endpoint) is not None:
            return Fleet([RunningEngine(self.judge.spec, endpoint)]), 0
        return acquire(self.judge, progress.say)

    def _on_answer(self, progress: Progress, ask: load.Ask, generation: Generation) -> None:
        error = generation.error
        if error is None:
            kept = dataclasses.replace(generation, conditions=self.judge.conditions)
            self.shelf.append(ask.key, self.judge.conditions, kept)
            self.fresh.add(ask.key)
            self._failures.pop(ask.key, None)
        else:
            self._failures[ask.key] = self.judge.told(error)
        progress.advance(failed=error is not None)
        if error is not None and error.kind != "over_budget":
            self._stop_where_too_many_fail()

    def _stop_where_too_many_fail(self) -> None:
        failed = [one for one in self._failures.values() if one.kind != "over_budget"]
        max_failed = self.judge.config.max_failed
        if too_many(allowed_failures(max_failed, self.total), len(failed), self.total):
            limit = f"{self.judge.setting('max_failed')}={max_failed:g}"
            raise JobFailed(
                f"{len(failed)} of {self.total} verdicts failed, more than {limit} allows: the rest was not asked. "
                f"The first: {failed[0].kind}: {failed[0].message}"
            )


def _messages(turns: Sequence[Turn], shown: Sequence[ImagePart]) -> tuple[Message, ...]:
    """Return turns as messages; pictures go before the first text of the user."""
    messages = []
    left: Mapping[str, Sequence[ImagePart]] = {"user": shown}
    for role, text in turns:
        messages.append(Message(role, (*left.get(role, ()), TextPart(text))))
        if role == "user":
            left = {}
    return tuple(messages)
