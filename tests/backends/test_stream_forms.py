"""The forms in which servers stream, as their sources or their users' reports show them: read, or refused with words.

Names in the tables say whose form it is.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from backends import chunks
from backends.events import BadStream, EventStream
from backends.stream import Answer

USAGE = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}


def chunk(delta: object = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta if delta is not None else {}, "finish_reason": finish, **more}
    return {"object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def said(text: str) -> dict[str, Any]:
    return chunk({"content": text})


END = chunk({}, "stop")


def sse(*events: object, done: bool = True) -> bytes:
    """Return events as a stream: objects as JSON, texts as they are."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in events]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def read(stream: bytes) -> Answer:
    events, answer = EventStream(), Answer()
    for event in [*events.feed(stream), *events.finish()]:
        answer.add(event)
    return answer


def failure_of(stream: bytes):
    try:
        return read(stream).problem()
    except BadStream as error:
        return error.failure


ANSWERS = {
    "OpenAI": sse(ROLE, said("Ива"), said("нов"), END, USAGE),
    "Azure: the filter's verdict on the prompt comes first": sse(
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}, ROLE, said("Иванов"), END
    ),
    "Ollama: an empty finish_reason (its issue 4357)": sse(chunk({"content": "Иванов"}, ""), END),
    "OpenRouter: comments keep the connection": sse(": OPENROUTER PROCESSING\n\n" * 3, said("Иванов"), END),
    "Anthropic behind a gateway: a ping": sse(said("Ива"), 'event: ping\ndata: {"type": "ping"}\n\n', said("нов"), END),
    "Mistral: content as parts": sse(chunk({"content": [{"type": "text", "text": "Ива"}, "нов"]}), END),
    "Mistral: a part that refers to a source": sse(
        chunk({"content": [{"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "Иванов"}]}), END
    ),
    "a gateway: the whole message in one event": sse(
        {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"content": "Иванов"}, "finish_reason": "stop"}],
        }
    ),
    "a gateway: the whole message behind its pieces": sse(
        said("Ива"), said("нов"), {"choices": [{"index": 0, "message": {"content": "Иванов"}, "finish_reason": "stop"}]}
    ),
    "a gateway: each message holds all so far": sse(
        {"choices": [{"message": {"content": "Ива"}}]},
        {"choices": [{"message": {"content": "Иванов"}, "finish_reason": "stop"}]},
    ),
    "a gateway: messages that are pieces": sse(*({"choices": [{"message": {"content": x}}]} for x in "Иванов"), END),
    "a gateway: an empty delta beside the message": sse(
        {"choices": [{"index": 0, "delta": {"role": "assistant"}, "message": {"content": "Иванов"}}]}, END
    ),
    "a gateway: an empty delta beside the text": sse(
        said("Ива"), {"choices": [{"index": 0, "delta": {}, "text": "Иванов", "finish_reason": "stop"}]}
    ),
    "an event without data": sse("data:\n\n", said("Иванов"), END),
    "text_completion: text in place of delta": sse(
        {"choices": [{"index": 0, "text": "Ива"}]}, {"choices": [{"index": 0, "text": "нов", "finish_reason": "stop"}]}
    ),
    "n=2: only the first of several choices": sse(
        {"choices": [{"index": 1, "delta": {"content": "Петров"}}, {"index": 0, "delta": {"content": "Иванов"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {"content": "ич"}, "finish_reason": "length"}]},
    ),
    "choices without an index": sse(
        {"choices": [{"delta": {"content": "Иванов"}}, {"delta": {"content": "Петров"}}]}, END
    ),
    "a delta of null, and null for a chunk": sse(
        said("Иванов"), {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]}, "data: null\n\n"
    ),
    "a space behind [DONE]": sse(said("Иванов"), END, "data: [DONE] \n\n", done=False),
    "no finish_reason, all chunks known (some gateways of Gemini and of Tencent)": sse(ROLE, said("Иванов")),
    "no [DONE]": sse(said("Иванов"), END, done=False),
    "an unknown event beside a whole answer": sse(said("Иванов"), {"type": "trace", "id": 7}, END),
}


@pytest.mark.parametrize("form", ANSWERS)
def test_forms_of_an_answer(form: str) -> None:
    answer = read(ANSWERS[form])
    assert (answer.text, answer.reasoning, answer.problem()) == ("Иванов", None, None)
    assert answer.finish_reason == (None if form.startswith("no finish_reason") else "stop")
    assert ("other_choices" in answer.remarks) == ("choices" in form)
    assert ("no_finish_reason" in answer.remarks) == form.startswith("no finish_reason")


def messages(*texts: str) -> Answer:
    return read(sse(*({"choices": [{"message": {"content": text}}]} for text in texts), END))


@pytest.mark.parametrize(
    ("texts", "whole", "told"),
    [
        (("Год 20", "0", "0"), "Год 2000", False),  # pieces of which one repeats the end, or the beginning
        (("1", "1", "2"), "112", False),
        (("а", "ба", "ба"), "абаба", False),
        (("1", "11", "112"), "112", True),
        (("12", "", "12"), "12", True),
    ],
)
def test_messages_are_pieces_unless_each_repeats_all_before_which_is_told(texts, whole: str, told: bool) -> None:
    answer = messages(*texts)
    assert (answer.text, "repeated_messages" in answer.remarks) == (whole, told)


THOUGHTS = {
    "DeepSeek, SGLang, llama.cpp": chunk({"reasoning_content": "думаю"}),
    "OpenRouter, Ollama, vLLM": chunk({"reasoning": "думаю"}),
    "Mistral": chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "думаю"}]}]}),
    "parts of type reasoning": chunk({"content": [{"type": "reasoning", "text": "думаю"}]}),
    "a mark in the content": said("<think>думаю</think>\n\n"),
    "only its end, the template having begun it": said("думаю</think>"),
}


@pytest.mark.parametrize("form", THOUGHTS)
def test_what_was_thought_is_kept_apart(form: str) -> None:
    answer = read(sse(THOUGHTS[form], said("Иванов"), END))
    assert (answer.text, answer.reasoning, answer.problem()) == ("Иванов", "думаю", None)
    assert ("reasoning_in_content" in answer.remarks) == ("content" in form or "template" in form)


HALF = said("Ива")
ERRORS = {
    "OpenAI, SGLang": ({"error": {"message": "boom", "type": "server_error", "code": 500}}, "server_error", True),
    "vLLM": ({"object": "error", "message": "boom", "type": "InternalServerError", "code": 500}, "server_error", True),
    "vLLM, a bad request": ({"object": "error", "message": "boom", "code": 400}, "bad_request", False),
    "SGLang, an aborted request": (
        {"error": {"object": "error", "message": "boom", "type": "BAD_REQUEST", "code": 400}},
        "bad_request",
        False,
    ),
    "OpenRouter": (
        {"error": {"code": 502, "message": "boom"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
        "server_error",
        True,
    ),
    "OpenRouter, within the choice": (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 429, "message": "boom"}}]},
        "rate_limited",
        True,
    ),
    "TGI": ({"error": "boom", "error_type": "overloaded"}, "rate_limited", True),
    "TGI, a validation": ({"error": "boom", "error_type": "validation"}, "bad_request", False),
    "Anthropic, as a named event": (
        'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}}\n\n',
        "rate_limited",
        True,
    ),
    "a named event, flat": (
        'event: error\ndata: {"type": "rate_limit_error", "message": "boom"}\n\n',
        "rate_limited",
        True,
    ),
    "a status of overload": ({"error": {"code": 503, "message": "boom: is overloaded"}}, "rate_limited", True),
    "a named event of words": ("event: error\ndata: boom\n\n", "server_error", True),
    "older llama.cpp, a field of its own": ('error: {"code": 500, "message": "boom"}\n\n', "server_error", True),
    "FastAPI": ({"detail": "boom"}, "server_error", True),
    "a status as text": ({"status": "503", "message": "boom"}, "server_error", True),
    "a status without words for it": ({"status_code": 429, "msg": "boom"}, "rate_limited", True),
    "a flag": ({"error": True, "message": "boom", "code": 503}, "server_error", True),
    "a key": ({"error": {"message": "boom", "type": "authentication_error"}}, "unauthorised", False),
    "Azure's filter": (
        {"error": {"message": "boom", "code": "content_filter", "status": 400}},
        "content_filter",
        False,
    ),
    "a flag of success": ({"success": False, "msg": "boom"}, "server_error", True),
    "a status in words": ({"status": "error", "msg": "boom"}, "server_error", True),
    "a list of errors": ({"errors": [{"message": "boom"}]}, "server_error", True),
    "a delta": (chunk({"error": "boom"}, "stop"), "server_error", True),
    "DashScope": ({"code": "InvalidParameter", "message": "boom"}, "bad_request", False),
    "memory": ({"error": {"message": "boom: CUDA out of memory", "code": 500}}, "out_of_memory", False),
}


@pytest.mark.parametrize("place", ["first", "half-way", "behind the end"])
@pytest.mark.parametrize("form", ERRORS)
def test_an_error_is_a_failure_with_its_words_wherever_it_stands(form: str, place: str) -> None:
    error, kind, retryable = ERRORS[form]
    before = {"first": [], "half-way": [ROLE, HALF], "behind the end": [ROLE, HALF, END]}[place]
    failure = failure_of(sse(*before, error))
    assert failure is not None
    assert (failure.kind, failure.retryable) == (kind, retryable), failure
    assert "boom" in failure.message


UNFINISHED = {
    "half-way": (sse(HALF, done=False), "connection", True, "3 characters"),
    "[DONE] behind a chunk that nobody knows": (sse(HALF, {"oops": "boom"}), "bad_response", False, "boom"),
    "only a chunk that nobody knows": (sse({"message": {"content": "Иванов"}}), "bad_response", False, "Иванов"),
    "Anthropic's own protocol": (
        sse({"type": "message_start", "message": {"id": "m"}}, done=False), "bad_response", False, "message_start"
    ),
    "a text under a key that nobody knows": (
        sse(ROLE, chunk({"text": "Иванов"}), END), "bad_response", False, "form that is not known"
    ),
    "blocks that nobody knows": (
        sse(chunk({"content_blocks": [{"type": "text", "text": "Иванов"}]}), END), "bad_response", False, "Иванов"
    ),
    "Gemini's prefix": (
        sse(chunk({}, "content_filter: PROHIBITED_CONTENT"), USAGE), "content_filter", False, "withheld"
    ),
    "Gemini's other prefix": (
        sse(ROLE, chunk({}, "function_call_filter: MALFORMED_FUNCTION_CALL")), "server_error", True, "MALFORMED"
    ),
    "content_filter": (sse(HALF, chunk({}, "content_filter")), "content_filter", False, "withheld"),
    "Gemini's SAFETY": (sse(chunk({}, "SAFETY"), USAGE), "content_filter", False, "withheld"),
    "tool_calls": (
        sse(chunk({"tool_calls": [{"index": 0, "function": {"name": "read", "arguments": ""}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}), chunk({}, "tool_calls")),
        "bad_response", False, "a tool (read)",
    ),
    "function_call": (
        sse(chunk({"function_call": {"name": "read"}}), chunk({}, "function_call")), "bad_response", False, "read"
    ),
    "tool_calls without a call": (sse(ROLE, chunk({}, "tool_calls")), "bad_response", False, "tool"),
    "DeepSeek": (sse(HALF, chunk({}, "insufficient_system_resource")), "server_error", True, "insufficient"),
    "vLLM, SGLang": (sse(HALF, chunk({}, "abort")), "server_error", True, "abort"),
    "OpenRouter without an error": (sse(HALF, chunk({}, "error")), "server_error", True, "error"),
}  # fmt: skip


@pytest.mark.parametrize("form", UNFINISHED)
def test_what_is_no_whole_answer_is_a_failure(form: str) -> None:
    stream, kind, retryable, words = UNFINISHED[form]
    failure = failure_of(stream)
    assert failure is not None
    assert (failure.kind, failure.retryable) == (kind, retryable)
    assert words in failure.message


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        (
            ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "FinishReason.MAX_TOKENS"),
            "length",
        ),
        (("FINISH_REASON_MAX_TOKENS", "model_context_window_exceeded", "max_length", "incomplete"), "length"),
        (("maxTokens", "MaxTokens", "max tokens", "max-tokens"), "length"),
        (("stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence", "COMPLETE"), "stop"),
    ],
)
def test_words_for_the_end_are_openais_and_the_servers_own_is_kept(words: tuple[str, ...], meaning: str) -> None:
    for word in words:
        answer = read(sse(said("Ива"), chunk({}, word)))
        assert (answer.finish_reason, answer.problem()) == (meaning, None)
        assert answer.remarks == (() if word == meaning else (f"finish_reason={word}",))


@pytest.mark.parametrize(
    "end",
    [
        chunk({}, {"type": "length", "length": 3}),  # type: ignore[arg-type]
        chunk({}, None, finish_details={"type": "max_tokens"}),
        chunk({}, None, stop_reason="max_tokens"),
    ],
)
def test_other_keys_that_tell_of_the_end(end: dict[str, Any]) -> None:
    answer = read(sse(said("Ива"), end))
    assert (answer.text, answer.finish_reason, answer.problem()) == ("Ива", "length", None)


def test_the_text_that_ended_an_answer_is_no_reason_of_its_own() -> None:
    assert read(sse(said("Ива"), chunk({}, "stop", stop_reason="max_tokens"))).finish_reason == "stop"
    assert read(sse(said("Ива"), chunk({}, None, stop_reason="конец"))).finish_reason is None


def test_reasoning_that_nothing_follows_is_told() -> None:
    answer = read(sse(thought("Это Иванов"), END))
    assert (answer.text, answer.problem(), answer.remarks) == ("", None, ("only_reasoning",))


def test_tokens_around_the_result_are_taken_out_and_told() -> None:
    answer = read(sse(said("<|begin_of_box|>Ива"), said("нов<|end_of_box|>"), END))
    assert (answer.text, answer.remarks) == ("Иванов", ("boxed",))


def test_an_unknown_word_for_the_end_stays_and_is_told() -> None:
    answer = read(sse(said("Иванов"), chunk({}, "repetition")))  # vLLM 0.33 has it, off by default
    assert (answer.finish_reason, answer.text, answer.problem()) == ("repetition", "Иванов", None)
    assert chunks.meaning("repetition") is None and answer.remarks == ("finish_reason=repetition",)


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk({"refusal": "Я не могу "}), chunk({"refusal": "помочь."})],
        [chunk({"content": [{"type": "refusal", "refusal": "Я не могу помочь."}]})],
        [{"choices": [{"message": {"content": None, "refusal": "Я не могу помочь."}}]}],
    ],
)
def test_the_words_of_a_refusal_are_the_text_and_it_is_told(pieces: list[dict[str, Any]]) -> None:
    answer = read(sse(ROLE, *pieces, END))
    assert (answer.text, answer.remarks, answer.problem()) == ("Я не могу помочь.", ("refusal",), None)


def test_a_tool_called_beside_a_text_leaves_the_text() -> None:
    call = chunk({"tool_calls": [{"index": 0, "function": {"name": "read"}}]})
    answer = read(sse(said("Иванов"), call, chunk({}, "tool_calls")))
    assert (answer.text, answer.problem(), "tool_calls" in answer.remarks) == ("Иванов", None, True)


def test_max_tokens_within_the_thought_leaves_no_answer_and_says_so() -> None:
    for thought in (chunk({"reasoning_content": "долго"}), said("<think>долго")):
        answer = read(sse(thought, chunk({}, "length")))
        assert (answer.text, answer.reasoning, answer.finish_reason) == ("", "долго", "length")
        assert "cut_before_answer" in answer.remarks


@pytest.mark.parametrize("text", ["Иванов<|im_end|>", "Иванов</s>", "Иванов <|eot_id|>\n", "Иванов<end_of_turn>"])
def test_a_token_that_ends_a_turn_is_told_and_stays(text: str) -> None:
    answer = read(sse(said(text), END))
    assert (answer.text, answer.remarks) == (text, ("end_of_turn",))
    assert read(sse(said("Тег </s> зачёркивает"), END)).remarks == ()


def test_counts_that_are_written_as_floats() -> None:
    answer = read(sse(said("x"), END, {"choices": [], "usage": {"completion_tokens": 2.0, "prompt_tokens": 1.5}}))
    assert answer.tokens_after_first == 0  # one piece: nothing came after it
    assert answer.image_tokens is None


@pytest.mark.parametrize(
    ("pieces", "tokens", "after"),
    [
        ([("Пет", [5]), ("ров", [6, 7])], 4, 3),  # one token in the first piece, and one that ends the answer
        ([("Пет", [5, 6, 7]), ("ров", [8])], 4, 1),  # several tokens in the first piece
        ([("П", None), ("е", None), ("т", None)], 4, 3),  # a token a piece
        ([("Петр", None), ("ов", None)], 12, 4),  # more tokens than pieces: by characters
        ([("Петров", None)], 12, 0),  # all at once: there is no time per token
        ([("Пет", None), ("ров", None)], None, None),
    ],
)
def test_a_time_per_token_divides_by_the_tokens_after_the_first_piece(pieces, tokens, after) -> None:
    told = [chunk({"content": text}, **({"token_ids": ids} if ids else {})) for text, ids in pieces]
    account = [] if tokens is None else [{"choices": [], "usage": {"completion_tokens": tokens}}]
    assert read(sse(*told, END, *account)).tokens_after_first == (None if after is None else pytest.approx(after))


def test_tokens_that_were_thought_unseen_are_not_timed() -> None:
    usage = {"completion_tokens": 103, "completion_tokens_details": {"reasoning_tokens": 100}}
    answer = read(sse(said("П"), said("е"), END, {"choices": [], "usage": usage}))
    assert answer.tokens_after_first == 2


def thought(text: str) -> dict[str, Any]:
    return chunk({"reasoning_content": text})


def counted(prompt: int = 10, completion: int = 6, **more: Any) -> dict[str, Any]:
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


MARKED = [said(piece) for piece in ("<think>", "вижу", "</think>", "\n\n", "Ива", "нов")]
HIDDEN = {"completion_tokens_details": {"reasoning_tokens": 27}}
# What was thought, by whose account: reasoning tokens, all generated tokens, pieces before the answer's first.
COUNTED = {
    "OpenAI hides it and counts it": ([said("Иванов"), END, counted(completion=30, **HIDDEN)], (27, 30, 0)),
    "xAI leaves it out of completion_tokens": (
        [said("Иванов"), END, counted(completion=3, total_tokens=40, **HIDDEN)],
        (27, 30, 0),
    ),
    "a total without an account of reasoning": (
        [said("Иванов"), END, counted(completion=3, total_tokens=40)],
        (27, 30, 0),
    ),
    "a total that is another sum": (
        [said("Иванов"), END, counted(completion=30, total_tokens=99, **HIDDEN)],
        (27, 30, 0),
    ),
    "vLLM streams it and doesn't count it": (
        [thought("ви"), thought("жу"), said("\n"), said("Иванов"), END, counted(completion=5)],
        (2, 5, 1),
    ),
    "marks in the text": ([*MARKED, END, counted()], (4, 6, 4)),
    "pieces that are no tokens": (
        [thought("вижу паспорт"), said("Иванов"), END, counted(completion=40)],
        (None, 40, 0),
    ),
    "no thought, no account": ([said("Ива"), said("нов"), END, counted(completion=3)], (None, 3, 0)),
    "no thought, and the account says so": (
        [said("Иванов"), END, counted(completion=3, completion_tokens_details={"reasoning_tokens": 0})],
        (0, 3, 0),
    ),
}


@pytest.mark.parametrize("form", COUNTED)
def test_tokens_of_thinking_are_counted_apart(form: str):
    events, (reasoning, completion, before) = COUNTED[form]
    answer = read(sse(*events))
    assert answer.text == "Иванов"
    assert (answer.reasoning_tokens, answer.completion_tokens) == (reasoning, completion)
    assert answer.first_answer_at == answer._times[before]


def test_token_ids_count_thoughts_whatever_the_pieces_are():
    thoughts = chunk({"reasoning": "вижу паспорт"}, token_ids=[1, 2, 3])
    answer = read(sse(thoughts, chunk({"content": "Иванов"}, token_ids=[4, 5]), END, counted(completion=6)))
    assert answer.reasoning_tokens == 3


@pytest.mark.parametrize(
    ("events", "cut"),
    [
        ([thought("вижу"), chunk({}, "length")], True),
        ([said("<think>вижу"), chunk({}, "MAX_TOKENS")], True),
        ([chunk({}, "length"), counted(**HIDDEN)], True),  # OpenAI hides the thought
        ([said("<think>вижу паспорт")], True),  # and no finish reason
        ([thought("вижу"), said("Ив"), chunk({}, "length")], False),
        ([thought("вижу"), END], False),  # the model's own end: it had nothing to say
        ([END], False),
    ],
)
def test_an_answer_that_is_cut_within_its_thinking(events: list[dict[str, Any]], cut: bool):
    answer = read(sse(*events))
    assert answer.problem() is None
    assert answer.cut_before_answer is cut and ("cut_before_answer" in answer.remarks) is cut


def test_cached_tokens_are_those_of_the_endpoints_account():
    def cached(**usage: Any) -> int | None:
        return read(sse(said("x"), END, counted(**usage))).cached_tokens

    assert cached(prompt_tokens_details={"cached_tokens": 8}) == 8
    assert cached(prompt_cache_hit_tokens=7, prompt_cache_miss_tokens=3) == 7  # DeepSeek
    assert cached() is None and cached(prompt_tokens_details={"cached_tokens": None}) is None
