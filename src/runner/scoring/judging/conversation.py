"""Asks a judge for verdicts. Invalid replies get a repair request; replies that the store has are not asked again."""

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
from runner.asking.budget import Spending
from runner.asking.engines import acquire
from runner.base.errors import JobFailed
from runner.base.progress import Progress
from runner.datasets.encoded import BadImage
from runner.scoring.judging import pictures
from runner.scoring.judging.planned import PlannedJudge
from runner.store import Shelf

log = logging.getLogger(__name__)


@dataclass
class Conversation:
    """A question to a judge with its repair requests. Equal questions share a conversation.

    `asked` are the keys of the requests so far. The last request is open until `reply` or `failure` is set. `earlier`
    is the conversation as an earlier command left it, if that ended without a valid verdict and is asked again.
    """

    turns: tuple[Turn, ...]
    images: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    reply: Reply | None = None
    problem: str = ""
    failure: Failure | None = None
    earlier: Conversation | None = None

    def restart(self, turns: tuple[Turn, ...]) -> None:
        """Return to the first request, and keep the previous state in `earlier`."""
        self.earlier = dataclasses.replace(self)
        self.turns, self.asked, self.texts, self.problem = turns, self.asked[:1], [], ""

    def fail(self, failure: Failure) -> None:
        """Record why there is no reply. If there is an earlier invalid reply, restore that instead."""
        if self.earlier is None:
            self.failure = failure
            return
        before = self.earlier
        self.turns, self.asked, self.texts, self.problem = before.turns, before.asked, before.texts, before.problem


class Interview:
    """All conversations with one judge. Replies are stored as they arrive, and stored replies are reused.

    `fresh` are the keys of the requests that this command has asked, including those of its other jobs. Each command
    asks again for an invalid stored reply, but only once.
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
        """Store the settings. `complete` sends the requests."""
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
        """Notes about the judge's engine that a reader of the figures must know, such as restarts."""
        return [f"judge {self.judge.name}: {note}" for note in self.starts.notes]

    def open(self, turns: tuple[Turn, ...], images: tuple[str, ...]) -> Conversation:
        """Begin a conversation. It fails at once if a picture can't be read."""
        conversation = Conversation(turns, images)
        try:
            conversation.asked.append(self._key(conversation))
        except BadImage as error:
            conversation.failure = Failure("bad_input", str(error))
        return conversation

    def missing(self, conversations: Sequence[Conversation]) -> list[Conversation]:
        """Advance conversations by stored replies. Return those that still need a request.

        A conversation that ended without a valid verdict in an earlier command starts again from its first request.
        """
        self.total = len(conversations)
        return [
            conversation
            for conversation in conversations
            if conversation.failure is None and self._must_ask(conversation)
        ]

    def complete(self, missing: Sequence[Conversation], progress: Progress) -> None:
        """Ask until each conversation has a verdict or a failure."""
        left = list(missing)
        while left:
            self._ask(
                {
                    conversation.asked[-1]: conversation
                    for conversation in left
                    if self._current_reply(conversation) is None
                },
                progress,
            )
            left = [conversation for conversation in left if self._take_reply(conversation)]

    def stored(self, key: str) -> Generation | None:
        """Return the stored reply to a request, from this command or an earlier one."""
        return self.shelf.find(key, None)

    def request(self, conversation: Conversation, key: str) -> GenerationRequest:
        """Build the open request of a conversation. Raise BadImage."""
        shown = [part for part, _ in pictures.read(conversation.images, self.image_side)] if conversation.images else []
        return GenerationRequest(
            key=key,
            messages=_messages(conversation.turns, shown),
            sampling=self.judge.sampling,
            response_schema=self.schema,
        )

    def _must_ask(self, conversation: Conversation) -> bool:
        """Advance a conversation by its stored replies. Return whether it needs another request."""
        turns = conversation.turns
        while (generation := self.stored(conversation.asked[-1])) is not None:
            if self._read(conversation, generation):
                continue
            if conversation.reply is not None or conversation.asked[-1] in self.fresh:
                return False
            conversation.restart(turns)
            return True
        return True

    def _current_reply(self, conversation: Conversation) -> Generation | None:
        """Return the reply to the open request; a reply of an earlier command only if it is not asked again."""
        key = conversation.asked[-1]
        return self.stored(key) if conversation.earlier is None or key in self.fresh else None

    def _take_reply(self, conversation: Conversation) -> bool:
        """Read the newest reply. Return whether the judge must be asked again."""
        generation = self._current_reply(conversation)
        if generation is None:
            failure = self._failures.get(conversation.asked[-1]) or self._ended
            conversation.fail(failure or Failure("connection", "not asked"))
            return False
        return self._read(conversation, generation)

    def _read(self, conversation: Conversation, generation: Generation) -> bool:
        """Read a reply. If it is invalid and another repair is allowed, open a repair request and return True."""
        conversation.texts.append(generation.text or "")
        try:
            conversation.reply = self.rubric.read(generation.text or "")
        except InvalidVerdict as error:
            cut = " (the reply was cut off: raise max_tokens)" if generation.finish_reason == "length" else ""
            conversation.problem = f"{error}{cut}"
            if len(conversation.asked) > self.judge.settings.repairs:
                return False
            conversation.turns = self.rubric.ask_again(conversation.turns, conversation.texts[-1], conversation.problem)
            conversation.asked.append(self._key(conversation))
            return True
        return False

    def _key(self, conversation: Conversation) -> str:
        """Return the store's key of the open request: a digest of everything that decides the reply. Raise BadImage."""
        digests = (
            [digest for _, digest in pictures.read(conversation.images, self.image_side)] if conversation.images else []
        )
        sampling = dataclasses.asdict(self.judge.sampling)
        return store.digest([dict(self.judge.identity), conversation.turns, digests, sampling, self.schema])

    # --------------------------------------------------------------------------------------------- asking

    def _ask(self, requests: Mapping[str, Conversation], progress: Progress) -> None:
        """Ask each open request once with the candidates' load loop. After the loop has given up, ask nothing."""
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
                load.Ask(key, key, 0, functools.partial(self.request, conversation, key))
                for key, conversation in requests.items()
            )
        except JobFailed as error:
            self._ended = Failure("engine_died", str(error))
            log.warning("judge %s: %s\n  the remaining answers get no verdict", self.judge.name, error)

    def _engine(self, progress: Progress) -> tuple[Fleet, int]:
        """Return the judge's engines and how many were started. An endpoint needs no engine, so others stay warm."""
        if (endpoint := self.judge.endpoint) is not None:
            return Fleet([RunningEngine(self.judge.spec, endpoint)]), 0
        return acquire(self.judge, progress.say)

    def _on_answer(self, progress: Progress, ask: load.Ask, generation: Generation) -> None:
        error = generation.error
        if error is None:
            stored = dataclasses.replace(generation, conditions=self.judge.conditions)
            self.shelf.append(ask.key, self.judge.conditions, stored)
            self.fresh.add(ask.key)
            self._failures.pop(ask.key, None)
        else:
            self._failures[ask.key] = self.judge.with_own_settings(error)
        progress.advance(failed=error is not None)
        if error is not None and error.kind != "over_budget":
            self._stop_where_too_many_fail()

    def _stop_where_too_many_fail(self) -> None:
        failed = [failure for failure in self._failures.values() if failure.kind != "over_budget"]
        max_failed = self.judge.config.max_failed
        if too_many(allowed_failures(max_failed, self.total), len(failed), self.total):
            limit = f"{self.judge.setting('max_failed')}={max_failed:g}"
            raise JobFailed(
                f"{len(failed)} of {self.total} verdicts failed, more than {limit} allows: the rest was not asked. "
                f"The first: {failed[0].kind}: {failed[0].message}"
            )


def _messages(turns: Sequence[Turn], shown: Sequence[ImagePart]) -> tuple[Message, ...]:
    """Return turns as messages, with the pictures before the first text of the user."""
    messages = []
    left: Mapping[str, Sequence[ImagePart]] = {"user": shown}
    for role, text in turns:
        messages.append(Message(role, (*left.get(role, ()), TextPart(text))))
        if role == "user":
            left = {}
    return tuple(messages)
