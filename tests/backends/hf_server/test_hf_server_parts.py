"""The parts that need no model: requests, text pieces, grouping, the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.chat_server.completions import Finished, Timing
from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import ChatMessage, ChatRequest, Pixels, Sampling, parse_chat_request
from backends.hf_server.batcher import Batcher, Counts, Ticket, group_key, take_batch
from backends.hf_server.families import Prepared
from backends.hf_server.reasoning import ReasoningSplit
from backends.hf_server.settings import parse_settings
from backends.hf_server.text_stream import TextStream
from tests.patience import patient

# ------------------------------------------------------------------------------------------------- text pieces


def decode_bytes(ids):
    return bytes(ids).decode("utf-8", "replace")


def pieces(data, stop=()):
    stream = TextStream(decode_bytes, stop)
    found = []
    for token in data:
        found.append(stream.feed(token))
        if stream.stopped:
            return found
    return [*found, stream.finish()]


def test_characters_are_never_split():
    assert [piece for piece in pieces("Aя€😀".encode()) if piece] == ["A", "я", "€", "😀"]


def test_an_incomplete_end_is_given_at_the_end():
    assert "".join(pieces("я".encode() + b"\xe2\x82")) == "я�"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=24))
def test_pieces_of_any_bytes_join_to_the_whole(data):
    assert "".join(pieces(data)) == decode_bytes(data)


@settings(max_examples=300, deadline=None)
@given(st.text("abя€", max_size=20), st.lists(st.text("abя€", min_size=1, max_size=3), min_size=1, max_size=3))
def test_stop_texts_cut_and_never_leak(text, stop):
    found = "".join(pieces(text.encode(), stop))
    # The stop that is complete first ends the answer, so look at growing texts.
    for length in range(len(text) + 1):
        at = [text[:length].find(one) for one in stop if one in text[:length]]
        if at:
            assert found == text[: min(at)]
            return
    assert found == text


def test_held_back_text_comes_out_when_no_stop_follows():
    assert [piece for piece in pieces(b"abXc", ["abc", "Y"]) if piece] == ["abX", "c"]


def test_spaces_between_words_survive():
    """Tokenizers of the sentencepiece kind drop the space before the first word of what they decode."""
    words = ["▁Hello", "▁big", "▁world"]
    stream = TextStream(lambda ids: "".join(words[i] for i in ids).replace("▁", " ").lstrip())
    assert [stream.feed(0), stream.feed(1), stream.feed(2), stream.finish()] == ["Hello", " big", " world", ""]


# --------------------------------------------------------------------------------------------------- reasoning


def split(text, prompt="", size=1):
    found = ReasoningSplit(prompt)
    cut = [text[at : at + size] for at in range(0, len(text), size)]
    parts = [found.feed(piece) for piece in cut] + [found.feed("", last=True)]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("", "<think>Hm, 2 < 3</think>\nSix", ("Hm, 2 < 3", "\nSix")),
        ("assistant\n<think>\n", "Hm</thin k></think>Six", ("Hm</thin k>", "Six")),
        ("", "\n<think>never done </thi", ("never done </thi", "")),
        ("", "<thin ice", ("", "<thin ice")),
        ("", "<thi", ("", "<thi")),
        ("", "Six </think> <think>", ("", "Six </think> <think>")),
        ("", "", ("", "")),
    ],
)
def test_what_was_thought_is_no_part_of_the_answer(prompt, text, expected, size):
    assert split(text, prompt, size) == expected


# ------------------------------------------------------------------------------------------------- requests


def test_a_full_request():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,YWJj"}}
    body = {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [image, {"type": "text", "text": "?"}, image]},
        ],
        "max_completion_tokens": 5,
        "temperature": 0,
        "top_k": -1,
        "seed": 7,
        "stop": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
        "mm_processor_kwargs": {"max_pixels": 100},
        "return_token_ids": True,
        "n": 1,
        "user": "someone",
        "logit_bias": None,
    }
    assert parse_chat_request(body, "m") == ChatRequest(
        messages=(ChatMessage("system", ("Be short.",)), ChatMessage("user", (0, "?", 1))),
        images=(b"abc", b"abc"),
        sampling=Sampling(temperature=0.0, max_tokens=5, seed=7),
        pixels=Pixels(None, 100),
        stop=("x",),
        stream=True,
        include_usage=True,
        return_token_ids=True,
    )


@pytest.mark.parametrize("value", [True, float("nan"), "0", [], -0.1, 101])
def test_temperatures_that_are_none(value):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": value}
    with pytest.raises(RequestError, match="temperature") as caught:
        parse_chat_request(body, "m")
    assert caught.value.param == "temperature"


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "url"]), inner),
    )
)
def test_any_json_is_parsed_or_refused(value):
    for name in ("messages", "stop", "stream_options", "mm_processor_kwargs", "seed", "tools", "top_k"):
        body = {"model": "m", "messages": [{"role": "user", "content": value}], name: value}
        try:
            parse_chat_request(body, "m")
        except RequestError as error:
            assert error.status == 400


# ------------------------------------------------------------------------------------------------- grouping


def chat(**sampling):
    return ChatRequest(messages=(ChatMessage("user", ("x",)),), sampling=Sampling(**{"temperature": 0.0, **sampling}))


def tickets(*requests):
    async def make():
        made = [Ticket(request, 0.0, Counts()) for request in requests]
        for ticket in made:
            ticket.key = group_key(ticket.request, None)
        return made

    return asyncio.run(make())


def test_only_equal_sampling_shares_a_batch():
    queue = tickets(chat(), chat(max_tokens=5), chat(), chat(seed=3), chat(repetition_penalty=1.1))
    first = queue[0]
    assert [ticket.request.sampling.max_tokens for ticket in take_batch(queue, 8)] == [256, 256, 256]
    assert first not in queue and len(queue) == 2
    assert len(take_batch(queue, 8)) == len(take_batch(queue, 8)) == 1
    assert take_batch(queue, 8) == []


def test_seeded_samples_go_alone_and_sizes_are_kept():
    queue = tickets(*[chat(temperature=1.0, seed=1)] * 2, *[chat(temperature=1.0)] * 3)
    assert [len(take_batch(queue, 2)) for _ in range(4)] == [1, 1, 2, 1]


def test_the_cancelled_are_dropped():
    queue = tickets(chat(), chat())
    queue[0].cancel()
    kept = queue[1]
    assert take_batch(queue, 4) == [kept]


class EchoFamily:
    name = "echo"

    def prepare(self, request):
        if request.messages[0].parts == ("bad",):
            raise RequestError("bad")
        return Prepared({}, "", (), Pixels(), 10, 0, ())

    def batch_key(self, prepared):
        return None


def test_a_batch_is_what_waits_when_the_model_is_idle():
    """The first goes alone at once; those that come meanwhile go together."""
    sizes, started, release = [], threading.Event(), threading.Event()

    def run(batch):
        sizes.append(len(batch))
        started.set()
        release.wait(patient(5))
        for ticket in batch:
            ticket.emit(Finished("stop", 10, 1, 0, (), Timing(0, 0, 0, 0)))

    async def scenario():
        batcher = Batcher(8)
        threading.Thread(target=batcher.serve, args=(run,), daemon=True).start()
        first = await batcher.submit(chat(), 0.0, EchoFamily(), None)
        await asyncio.to_thread(started.wait, 5)
        others = [await batcher.submit(chat(), 0.0, EchoFamily(), None) for _ in range(3)]
        with pytest.raises(RequestError, match="context is 100 tokens"):
            await batcher.submit(chat(max_tokens=91), 0.0, EchoFamily(), 100)
        release.set()
        for ticket in (first, *others):
            await ticket.next_event()
        return batcher.counts

    counts = asyncio.run(scenario())
    assert sizes == [1, 3]
    assert (counts.served, counts.failed, counts.batches, counts.batched_requests) == (4, 1, 2, 4)


def test_those_who_ask_on_after_an_answer_come_together_again():
    """Or the first, which goes alone, would stay alone: one, three, one, three."""
    sizes, started, others = [], threading.Event(), threading.Event()

    def run(batch):
        sizes.append(len(batch))
        started.set()
        others.wait(patient(5))
        time.sleep(0.5)
        for ticket in batch:
            ticket.emit(Finished("stop", 10, 1, 0, (), Timing(0, 0, 0, 0)))

    async def ask_on(batcher):
        for _ in range(4):
            ticket = await batcher.submit(chat(), 0.0, EchoFamily(), None)
            if batcher._open == 4:
                others.set()
            await ticket.next_event()

    async def scenario():
        batcher = Batcher(4)
        threading.Thread(target=batcher.serve, args=(run,), daemon=True).start()
        first = asyncio.create_task(ask_on(batcher))
        await asyncio.to_thread(started.wait, 5)
        await asyncio.gather(first, *(ask_on(batcher) for _ in range(3)))
        return batcher._open

    assert asyncio.run(scenario()) == 0
    assert sum(sizes) == 16 and sizes[0] == 1 and 4 in sizes


# ------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "1"], "--model"),
        (["--model", "m", "--port", "70000"], "not a port"),
        (["--model", "m", "--port", "1", "--batch-size", "0"], "positive"),
        (["--model", "m", "--port", "1", "--config-override", "{"], "not JSON"),
        (["--model", "m", "--port", "1", "--config-override", "[]"], "JSON object"),
        (["--model", "m", "--port", "1", "--min-pixels", "9", "--max-pixels", "8"], "larger than"),
        (["--model", "m", "--port", "1", "--dtype", "int3"], "--dtype"),
    ],
)
def test_wrong_flags_are_usage_errors(flags, message, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_settings(flags)
    assert caught.value.code == 2 and message in capsys.readouterr().err


def test_the_key_is_no_flag_and_not_shown(monkeypatch):
    monkeypatch.setenv("RUNNER_ENGINE_KEY", "secret")
    found = parse_settings(["--model", "m", "--port", "1", "--config-override", '{"a": 1}'])
    assert (found.api_key, found.config_override) == ("secret", {"a": 1})
    assert "secret" not in repr(found)


def test_the_http_side_imports_no_torch():
    code = "import sys, backends.hf_server.http; print({'torch', 'transformers', 'numpy', 'runner'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=patient(60))
    assert done.stdout.strip() == "set()", done.stdout


def test_an_answered_batch_is_let_go_before_the_next_comes():
    """Its pictures would count as memory of the job that is measured next."""

    class Waits:
        cancelled, key = False, None

    done = threading.Event()
    batcher = Batcher(1)
    ticket = Waits()
    gone = weakref.ref(ticket)
    batcher._queue.append(ticket)
    del ticket
    threading.Thread(target=batcher.serve, args=(lambda _: done.set(),), daemon=True).start()
    assert done.wait(patient(5))
    deadline = time.monotonic() + patient(5)
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone() is None
