"""Collects the events of a stream into one answer.

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
from array import array
from typing import Any

from backends import chunks, reasoning
from backends.api import Failure
from backends.events import MAX_ANSWER_BYTES, BadStream, ServerEvent, bad_response
from backends.failures import error_in, from_error_object
from backends.token_logprobs import Reader

# Tokens that end a turn and are never part of an answer. A server that leaves one in the text decodes it by mistake.
_END_OF_TURN = re.compile(r"(?:<\|(?:im_end|endoftext|eot_id|eom_id|end|return)\|>|</s>|<end_of_turn>)\s*$")


# Known keys of chunks without a choice: the token usage, and the measurements of our HF server.
_KNOWN = {"usage", "timing", "images", "prompt_token_ids", "prompt_filter_results"}


class Answer:
    """Collects the chunks of one answer. Of several choices only the first (index 0) is used."""

    def __init__(self) -> None:
        self.first_text_at: float | None = None  # time.perf_counter(), like `last_choice_at`
        self.last_choice_at: float | None = None  # of the last chunk with a choice; only token usage follows it
        self.done = False  # [DONE] was read
        self.seen_choice = False
        self.finish_reason: str | None = None  # OpenAI's word, else the server's own word
        self.served_model: str | None = None
        self.usage: dict[str, Any] = {}
        self.timing: dict[str, Any] = {}
        self.images: Any = None
        self.token_ids: list[int] | None = None
        self.prompt_token_ids: list[int] | None = None
        self.logprobs = Reader()
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._messages: list[chunks.Piece] = []  # whole messages that came instead of pieces, or after them
        self._tools: list[str] | None = None
        self._remarks: dict[str, None] = {}  # in the order in which they were added
        self._unknown = b""  # the first event of an unknown form
        self._unread = b""  # the first choice with a text under a key that is not known
        self._characters = 0
        self._pieces = 0  # number of chunks with text or reasoning
        self._times = array("d")  # when each of `_text` came: time.perf_counter()
        self._thoughts = self._thought_ids = 0  # number of chunks with reasoning alone, and of their token ids
        self._first: tuple[int, int | None] = (0, None)  # number of characters and (if known) tokens in the first piece
        self._split: tuple[str | None, str] | None = None

    def add(self, event: ServerEvent) -> None:
        """Add one event. Raise BadStream if it is an error, or no chunk of a chat completion."""
        if event.data.strip() == b"[DONE]":
            self.done = True
            return
        if event.name == "ping" or not (event.name or event.data.strip()):  # sent to keep the connection open
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
        """Add a reply that was not streamed. Raise BadStream as `add` does."""
        self.add(ServerEvent("", body))
        self.done, self.first_text_at = True, None  # the time of its first token is not known
        self._remarks["not_streamed"] = None

    def _add_chunk(self, chunk: Any, event: ServerEvent) -> None:
        if event.name == "error":
            # Anthropic names the event and wraps its error as well: {"type": "error", "error": {"type": ...}}
            error = error_in(chunk) if isinstance(chunk, dict) else None
            raise BadStream(from_error_object(chunk if error is None else error))
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
        if told := chunk.get("timings"):  # llama.cpp b10434, in milliseconds; the prompt's include its pictures
            parts = {"prefill_s": seconds(told.get("prompt_ms")), "decode_s": seconds(told.get("predicted_ms"))}
            self.timing = {name: value / 1000 for name, value in parts.items() if value is not None}
        self.images = chunk.get("images") or self.images
        if (prompt := chunk.get("prompt_token_ids")) is not None:
            self.prompt_token_ids = list(map(int, prompt))
        choices = chunk.get("choices")
        if choices is None and not _KNOWN & chunk.keys() and chunk.get("object") != "chat.completion.chunk":
            self._unknown = self._unknown or event.data
        for position, choice in enumerate(choices or ()):
            if chunks.index(choice, position) == 0:
                self._add_choice(choice, event)
            else:
                self._remarks["other_choices"] = None

    def _add_choice(self, choice: dict[str, Any], event: ServerEvent) -> None:
        delta = choice.get("delta")
        if error := choice.get("error") or (delta.get("error") if isinstance(delta, dict) else None):
            raise BadStream(from_error_object(error))
        self.seen_choice, self.last_choice_at = True, time.perf_counter()
        if word := chunks.finish_word(choice):
            known = chunks.meaning(word)
            self.finish_reason = known or word
            if known != word:
                self._remarks[f"finish_reason={word}"] = None
        if (token_ids := choice.get("token_ids")) is not None:
            self.token_ids = self.token_ids or []
            self.token_ids.extend(map(int, token_ids))
        if (told := choice.get("logprobs")) is not None:
            self.logprobs.add(told)
        piece = chunks.read(choice)
        if not any(piece) and not self._unread and chunks.unread(choice):
            self._unread = event.data
        if piece.reasoning and not piece.text:
            self._thoughts += 1
            self._thought_ids += len(token_ids or ())
        if piece.tools:
            self._tools = [*(self._tools or ()), *filter(None, piece.tools)]
        self._append(piece)

    def _append(self, piece: chunks.Piece) -> None:
        characters = len(piece.text) + len(piece.reasoning) + len(piece.refusal)
        if not characters:
            return
        self._characters += characters
        if self._characters > MAX_ANSWER_BYTES:
            raise bad_response(f"the answer exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
        if self.first_text_at is None:
            self.first_text_at = self.last_choice_at
            self._first = (characters, None if self.token_ids is None else len(self.token_ids))
        self._pieces += 1
        if piece.whole:
            self._messages.append(piece)
            return
        if piece.text:
            self._times.append(self.last_choice_at or 0.0)
        if len(piece.text) == characters:  # true for nearly every chunk
            self._text.append(piece.text)
            return
        for pieces, text in (
            (self._text, piece.text),
            (self._reasoning, piece.reasoning),
            (self._refusal, piece.refusal),
        ):
            if text:
                pieces.append(text)

    def _parts(self) -> tuple[str | None, str]:
        """Return reasoning and answer. If the engine doesn't separate them, the marks in the text do."""
        if self._split is None:
            text, thought = self._all(self._text, "text"), self._all(self._reasoning, "reasoning")
            self._split = reasoning.apart(thought, text) if thought else reasoning.split(text)
        return self._split

    def _all(self, pieces: list[str], name: str) -> str:
        """Return the text of all pieces and messages."""
        return _whole(chunks.together(pieces, [getattr(message, name) for message in self._messages]))

    @property
    def text(self) -> str:
        """The answer without its reasoning. If there is only a refusal, the text of the refusal."""
        return self._parts()[1] or self._all(self._refusal, "refusal")

    @property
    def reasoning(self) -> str | None:
        """The reasoning of a thinking model; None if there is none."""
        return self._parts()[0] or None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Names of the oddities of this answer (`Generation.remarks`)."""
        remarks = dict(self._remarks)
        for word, applies in (
            ("reasoning_in_content", self.reasoning is not None and not self._all(self._reasoning, "reasoning")),
            ("repeated_messages", chunks.repeat([message.text for message in self._messages])),
            ("refusal", self._all(self._refusal, "refusal") or self.finish_reason == "refusal"),
            ("tool_calls", self._tools is not None),
            ("end_of_turn", _END_OF_TURN.search(self.text[-40:])),
            ("boxed", any("_of_box|>" in piece for piece in (*self._text, *(m.text for m in self._messages)))),
            ("no_finish_reason", self.finish_reason is None),
            ("cut_before_answer", self.cut_before_answer),
            ("only_reasoning", self.reasoning and not self.text.strip() and not self.cut_before_answer),
        ):
            if applies:
                remarks[word] = None
        return tuple(remarks)

    @property
    def cut_before_answer(self) -> bool:
        """Whether the limit of tokens ended it within its thinking, so that there is no answer.

        Without a finish reason, a thought that nothing follows was cut.
        """
        cut = self.finish_reason == chunks.LENGTH or (self.finish_reason is None and self.reasoning is not None)
        return cut and not self.text.strip()

    @property
    def tokens_after_first(self) -> float | None:
        """The number of tokens after the first piece of text; None if the number of all tokens is not known.

        It is counted from the token ids if the engine sends them. Otherwise each piece counts as one token; with more
        tokens than pieces, it is estimated from the share of characters after the first piece. Hidden reasoning
        tokens do not count.
        """
        tokens = self.completion_tokens
        if self.first_text_at is None or tokens is None:
            return None
        characters, first = self._first
        if first:
            return float(max(0, tokens - first))
        if self._pieces == 1:
            return 0.0
        if self._messages:  # messages may repeat each other, so their lengths are no measure
            return None
        unseen = None if self.reasoning is not None else self._counted_reasoning
        tokens = max(0, tokens - (unseen or 0))
        if self._pieces >= tokens - 1:  # the last token may be the end of the turn, which has no text
            return float(max(0, tokens - 1))
        return tokens * (1 - characters / self._characters)

    @property
    def completion_tokens(self) -> int | None:
        """The number of tokens that were generated, reasoning included, as OpenAI counts.

        xAI leaves the reasoning out of `completion_tokens`, and its `total_tokens` is larger than the sum of
        prompt and completion by just the reasoning (litellm 1.110.2, llms/xai/chat/transformation.py).
        """
        completion = count(self.usage.get("completion_tokens"))
        return None if completion is None else completion + self._beyond_completion

    @property
    def _beyond_completion(self) -> int:
        prompt, completion, total = (
            count(self.usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total")
        )
        if prompt is None or completion is None or total is None:
            return 0
        beyond = max(0, total - prompt - completion)
        return beyond if self._told_reasoning in (None, beyond) else 0

    @property
    def _told_reasoning(self) -> int | None:
        details = self.usage.get("completion_tokens_details")
        tokens = count(details.get("reasoning_tokens")) if isinstance(details, dict) else None
        return count(self.usage.get("reasoning_tokens")) if tokens is None else tokens

    @property
    def _counted_reasoning(self) -> int | None:
        """The number of reasoning tokens by the account of the server; None if it gives none."""
        return self._beyond_completion or None if self._told_reasoning is None else self._told_reasoning

    @property
    def reasoning_tokens(self) -> int | None:
        """The number of tokens of reasoning, which `completion_tokens` includes; None if it is not known.

        A server that streams its reasoning and doesn't count it is counted: by token ids, or by pieces if each piece is
        a token.
        """
        counted, tokens = self._counted_reasoning, self.completion_tokens
        if counted is not None or self.reasoning is None or self._messages:
            return counted
        one_each = tokens is not None and self._pieces >= tokens - 1
        if self._reasoning:
            return self._thought_ids or (self._thoughts if one_each else None)
        before = self._pieces_before_answer
        return before if one_each and before is not None else None

    @property
    def first_answer_at(self) -> float | None:
        """When the first piece of the answer itself came, behind all reasoning: time.perf_counter()."""
        before = self._pieces_before_answer
        return None if before is None or before >= len(self._times) else self._times[before]

    @property
    def _pieces_before_answer(self) -> int | None:
        """The number of pieces of `_text` before the first one with a character of the answer; None if not known."""
        _, answer = self._parts()
        text = "".join(self._text)
        if self._messages or not answer or not text.endswith(answer):
            return None
        left = len(text) - len(answer)
        for number, piece in enumerate(self._text):
            left -= len(piece)
            if left < 0:
                return number
        return None

    @property
    def cached_tokens(self) -> int | None:
        """The number of prompt tokens that the server found in its cache, by its own account."""
        details = self.usage.get("prompt_tokens_details")
        tokens = count(details.get("cached_tokens")) if isinstance(details, dict) else None
        return count(self.usage.get("prompt_cache_hit_tokens")) if tokens is None else tokens  # DeepSeek's word

    @property
    def image_tokens(self) -> int | None:
        """The number of prompt tokens of the images, if the engine reports it."""
        details = self.usage.get("prompt_tokens_details")
        return count(details.get("image_tokens")) if isinstance(details, dict) else None

    def image_tokens_or_count(self, image_token: int | None) -> int | None:
        """Return the number that the engine reports, else how often `image_token` occurs in the prompt's token ids."""
        if self.image_tokens is not None or image_token is None or self.prompt_token_ids is None:
            return self.image_tokens
        return self.prompt_token_ids.count(image_token)

    @property
    def prompt_digest(self) -> str | None:
        """A hash of the prompt's token ids; None if the engine doesn't send them."""
        if self.prompt_token_ids is None:
            return None
        return hashlib.sha256(",".join(map(str, self.prompt_token_ids)).encode()).hexdigest()[:16]

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...] | None:
        """Width and height in pixels of each image as the model saw it; None if the engine doesn't report them."""
        if not isinstance(self.images, list) or not all(isinstance(image, dict) for image in self.images):
            return None
        sizes = [(count(image.get("width")), count(image.get("height"))) for image in self.images]
        known = tuple((width, height) for width, height in sizes if width and height)
        return known if len(known) == len(sizes) else None

    def problem(self) -> Failure | None:
        """Return why the stream, which has ended, is no complete answer; None if it is complete.

        A server may end a stream with [DONE] and without a finish_reason. Such an answer is complete if the form of
        every chunk was known; an unknown chunk may have been an error in the server's own form.
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
        if not self.text and self._unread:
            return Failure("bad_response", f"the answer's text is in a form that is not known: {_head(self._unread)}")
        if not self.text and (self._tools is not None or self.finish_reason == chunks.TOOLS):
            named = " ".join(dict.fromkeys(self._tools or ())) or "without a name"
            return Failure("bad_response", f"the model called a tool ({named}) in place of an answer")
        return None


def count(value: Any) -> int | None:
    """Return a number that an engine counted; None if the value is no such number."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def seconds(value: Any) -> float | None:
    """Return a duration that an engine measured; None if the value is no duration."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None


def _whole(text: str) -> str:
    try:
        text.encode("utf-8")
    except (
        UnicodeEncodeError
    ):  # the two \u escapes of one character may come in two chunks, and the second may be missing
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _head(event: bytes) -> str:
    return event[:200].decode("utf-8", "replace")
