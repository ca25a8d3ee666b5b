"""What comes back: the events of a stream, gathered to one answer.

data: {"choices": [{"index": 0, "delta": {"content": "Пет"}, "finish_reason": null}]}
data: {"choices": [], "usage": {"prompt_tokens": 61, "completion_tokens": 4}}
data: [DONE]
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from typing import Any

from backends import chunks, reasoning
from backends.api import Failure
from backends.events import MAX_ANSWER_BYTES, BadStream, ServerEvent, bad_response
from backends.failures import error_in, from_error_object

# Tokens that end a turn and are never part of what a model says; a server that leaves one in decodes it by mistake.
_END_OF_TURN = re.compile(r"(?:<\|(?:im_end|endoftext|eot_id|eom_id|end|return)\|>|</s>|<end_of_turn>)\s*$")


# Keys of chunks without a choice that are known: an account, our HF server's measurements.
_KNOWN = {"usage", "timing", "images", "prompt_token_ids", "prompt_filter_results"}


class Answer:
    """Gathers the chunks of one answer: of several choices only the first, index 0."""

    def __init__(self) -> None:
        self.first_text_at: float | None = None  # time.perf_counter(), as the next
        self.last_choice_at: float | None = None  # of the last chunk that holds a choice: behind it only accounts come
        self.done = False  # [DONE] was read
        self.seen_choice = False
        self.finish_reason: str | None = None  # OpenAI's word, or the server's own where that is unknown
        self.served_model: str | None = None
        self.usage: dict[str, Any] = {}
        self.timing: dict[str, Any] = {}
        self.images: Any = None
        self.token_ids: list[int] | None = None
        self.prompt_token_ids: list[int] | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._messages: list[chunks.Piece] = []  # that came in place of pieces, or behind them
        self._tools: list[str] | None = None
        self._remarks: dict[str, None] = {}  # in the order in which they were made
        self._unknown = b""  # the first event that is no chunk that we know
        self._characters = 0
        self._pieces = 0  # chunks with text or reasoning
        self._first: tuple[int, int | None] = (0, None)  # characters, and tokens where known, of the first of them
        self._split: tuple[str | None, str] | None = None

    def add(self, event: ServerEvent) -> None:
        """Take in one event. Raise BadStream where it is an error, or no chunk of a chat completion."""
        if event.data.strip() == b"[DONE]":
            self.done = True
            return
        if event.name == "ping" or not (event.name or event.data.strip()):  # to keep the connection open
            return
        try:
            self._add_chunk(json.loads(event.data.decode("utf-8")), event)
        except UnicodeDecodeError as error:
            raise bad_response(f"the stream is not valid UTF-8: {error.reason}") from None
        except RecursionError:
            raise bad_response("a chunk of the stream is nested too deeply") from None
        except ValueError as error:
            if event.name == "error":
                raise BadStream(from_error_object(_head(event.data))) from None
            raise bad_response(f"a chunk of the stream is not JSON ({error}): {_head(event.data)}") from None
        except (AttributeError, KeyError, TypeError):
            raise bad_response(f"a chunk of the stream is no chat completion: {_head(event.data)}") from None

    def add_whole(self, body: bytes) -> None:
        """Take in a reply that was not streamed. Raise BadStream as `add` does."""
        self.add(ServerEvent("", body))
        self.done, self.first_text_at = True, None  # when its first word was ready is not known
        self._remarks["not_streamed"] = None

    def _add_chunk(self, chunk: Any, event: ServerEvent) -> None:
        if event.name == "error":
            raise BadStream(from_error_object(chunk))
        if chunk is None:
            self._unknown = self._unknown or event.data
            return
        if (error := error_in(chunk)) is not None:
            raise BadStream(from_error_object(error))
        self.served_model = str(chunk.get("model") or "") or self.served_model
        if usage := chunk.get("usage"):
            self.usage = dict(usage)
        if timing := chunk.get("timing"):
            self.timing = dict(timing)
        self.images = chunk.get("images") or self.images
        if (prompt := chunk.get("prompt_token_ids")) is not None:
            self.prompt_token_ids = list(map(int, prompt))
        choices = chunk.get("choices")
        if choices is None and not _KNOWN & chunk.keys() and chunk.get("object") != "chat.completion.chunk":
            self._unknown = self._unknown or event.data
        for position, choice in enumerate(choices or ()):
            if chunks.index(choice, position) == 0:
                self._add_choice(choice)
            else:
                self._remarks["other_choices"] = None

    def _add_choice(self, choice: dict[str, Any]) -> None:
        if choice.get("error"):
            raise BadStream(from_error_object(choice["error"]))
        self.seen_choice, self.last_choice_at = True, time.perf_counter()
        if word := str(choice.get("finish_reason") or ""):
            known = chunks.meaning(word)
            self.finish_reason = known or word
            if known != word:
                self._remarks[f"finish_reason={word}"] = None
        if (token_ids := choice.get("token_ids")) is not None:
            self.token_ids = self.token_ids or []
            self.token_ids.extend(map(int, token_ids))
        piece = chunks.read(choice)
        if piece.tools:
            self._tools = [*(self._tools or ()), *filter(None, piece.tools)]
        self._append(piece)

    def _append(self, piece: chunks.Piece) -> None:
        found = len(piece.text) + len(piece.reasoning) + len(piece.refusal)
        if not found:
            return
        self._characters += found
        if self._characters > MAX_ANSWER_BYTES:
            raise bad_response(f"the answer exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
        if self.first_text_at is None:
            self.first_text_at = self.last_choice_at
            self._first = (found, None if self.token_ids is None else len(self.token_ids))
        self._pieces += 1
        if piece.whole:
            self._messages.append(piece)
            return
        if len(piece.text) == found:  # nearly every chunk
            self._text.append(piece.text)
            return
        for pieces, said in (
            (self._text, piece.text),
            (self._reasoning, piece.reasoning),
            (self._refusal, piece.refusal),
        ):
            if said:
                pieces.append(said)

    def _parts(self) -> tuple[str | None, str]:
        """Return reasoning and answer, where the engine doesn't keep them apart by the marks in the text."""
        if self._split is None:
            text, thought = self._all(self._text, "text"), self._all(self._reasoning, "reasoning")
            self._split = (thought, text.lstrip()) if thought else reasoning.split(text)
        return self._split

    def _all(self, pieces: list[str], name: str) -> str:
        """Return what pieces and messages say together."""
        return _whole(chunks.together(pieces, [getattr(message, name) for message in self._messages]))

    @property
    def text(self) -> str:
        """The answer without its reasoning; where there is only a refusal, its words."""
        return self._parts()[1] or self._all(self._refusal, "refusal")

    @property
    def reasoning(self) -> str | None:
        """What a thinking model thought."""
        return self._parts()[0] or None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What must be told of this answer (`Generation.remarks`)."""
        made = dict(self._remarks)
        for word, applies in (
            ("reasoning_in_content", self.reasoning is not None and not self._all(self._reasoning, "reasoning")),
            ("repeated_messages", chunks.repeat([message.text for message in self._messages])),
            ("refusal", self._all(self._refusal, "refusal") or self.finish_reason == "refusal"),
            ("tool_calls", self._tools is not None),
            ("end_of_turn", _END_OF_TURN.search(self.text[-40:])),
            ("no_finish_reason", self.finish_reason is None),
            ("cut_before_answer", self.finish_reason == chunks.LENGTH and not self.text.strip()),
        ):
            if applies:
                made[word] = None
        return tuple(made)

    @property
    def tokens_after_first(self) -> float | None:
        """How many tokens came after the first piece of text; None where the count of all is not known.

        By the tokens' ids where the engine tells them. Else one a piece, or, where there are more tokens than pieces,
        by the share of the characters that came after the first piece. Tokens that were thought unseen don't count.
        """
        tokens = count(self.usage.get("completion_tokens"))
        if self.first_text_at is None or tokens is None:
            return None
        characters, first = self._first
        if first:
            return float(max(0, tokens - first))
        if self._pieces == 1:
            return 0.0
        if self._messages:  # they may repeat each other, so their lengths tell nothing
            return None
        details = self.usage.get("completion_tokens_details")
        unseen = count(details.get("reasoning_tokens")) if isinstance(details, dict) and not self._reasoning else None
        tokens = max(0, tokens - (unseen or 0))
        if self._pieces >= tokens - 1:  # the last token may end the answer and say nothing
            return float(max(0, tokens - 1))
        return tokens * (1 - characters / self._characters)

    @property
    def image_tokens(self) -> int | None:
        """How many tokens of the prompt the images took."""
        details = self.usage.get("prompt_tokens_details")
        return count(details.get("image_tokens")) if isinstance(details, dict) else None

    def image_tokens_or_count(self, image_token: int | None) -> int | None:
        """Return what the engine counted, else how often `image_token` stands in the prompt that it used."""
        if self.image_tokens is not None or image_token is None or self.prompt_token_ids is None:
            return self.image_tokens
        return self.prompt_token_ids.count(image_token)

    @property
    def prompt_digest(self) -> str | None:
        """A name of the prompt as the engine tokenised it; None where it didn't tell."""
        if self.prompt_token_ids is None:
            return None
        return hashlib.sha256(",".join(map(str, self.prompt_token_ids)).encode()).hexdigest()[:16]

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...] | None:
        """Width and height in pixels of each image as the model saw it."""
        if not isinstance(self.images, list) or not all(isinstance(image, dict) for image in self.images):
            return None
        sizes = [(count(image.get("width")), count(image.get("height"))) for image in self.images]
        known = tuple((width, height) for width, height in sizes if width and height)
        return known if len(known) == len(sizes) else None

    def problem(self) -> Failure | None:
        """Say why the stream, now at its end, is not a whole answer.

        A server may end by [DONE] alone, without a finish_reason: that is a whole answer as long as every chunk was one
        that we know, for an unknown one may have been an error in a form of its own.
        """
        received = f"{self._characters} characters" if self._characters else "nothing"
        if self.finish_reason == chunks.BROKEN:
            raw = next((mark.partition("=")[2] for mark in self._remarks if mark.startswith("finish_reason=")), "error")
            return Failure("server_error", f"the engine gave up (finish_reason {raw}), {received} received", True)
        if self.finish_reason == chunks.FILTERED:
            what = "the endpoint's content filter withheld the answer (finish_reason content_filter)"
            return Failure("content_filter", f"{what}, {received} received")
        if self.finish_reason is None and self._unknown:
            what = f"the stream ended without a finish_reason, {received} received; it holds no chat completion"
            return Failure("bad_response", f"{what}: {_head(self._unknown)}")
        if self.finish_reason is None and not self.done:
            return Failure("connection", f"the stream ended half-way, {received} received", retryable=True)
        if not self.seen_choice:
            what = (
                f"the answer holds no choices: {_head(self._unknown)}"
                if self._unknown
                else "the answer holds no choices"
            )
            return Failure("bad_response", what)
        if not self.text and (self._tools is not None or self.finish_reason == chunks.TOOLS):
            named = " ".join(dict.fromkeys(self._tools or ())) or "without a name"
            return Failure("bad_response", f"the model called a tool ({named}) in place of an answer")
        return None


def count(value: Any) -> int | None:
    """Return what an engine counted, None where it is no number of things."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def seconds(value: Any) -> float | None:
    """Return a duration that an engine measured, None where it is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None


def _whole(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # an emoji's two \u escapes may come in two chunks; half of one can't be stored
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _head(event: bytes) -> str:
    return event[:200].decode("utf-8", "replace")
