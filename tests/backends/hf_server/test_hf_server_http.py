"""A real server process with a tiny Qwen2-VL, asked over real HTTP."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image


def test_health_tells_what_loading_does(server):
    statuses = [status for status, _ in server.health]
    assert statuses[0] == 503 and statuses[-1] == 200
    assert all(body["status"] == "loading" and body["detail"] for status, body in server.health if status == 503)
    assert server.health[-1][1] == {"status": "ready"}


@pytest.mark.parametrize("path", ["/v1/models", "/statistics"])
def test_key_is_needed(server, path):
    for key in (None, "wrong", "ключ"):
        if key == "ключ":
            continue  # http.client can't send it
        status, body = server.call("GET", path, key=key)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    assert server.call("GET", path)[0] == 200


def test_models(server):
    _, body = server.call("GET", "/v1/models")
    assert [(card["id"], card["max_model_len"]) for card in body["data"]] == [("model", 2048)]


def test_streamed_equals_whole_and_is_greedy(server, bodies):
    content = bodies.picture()
    status, whole = server.ask(content, return_token_ids=True)
    assert status == 200
    again = server.ask(content, return_token_ids=True)[1]
    chunks = server.stream(content, return_token_ids=True)
    choice = whole["choices"][0]
    assert choice["finish_reason"] == "length" and len(choice["token_ids"]) == 12
    assert again["choices"] == whole["choices"]
    assert (
        "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
        == (choice["message"]["content"])
    )
    streamed_ids = [token for chunk in chunks[:-1] for token in chunk["choices"][0]["token_ids"]]
    assert streamed_ids == choice["token_ids"]
    assert len(chunks) > 5, "text comes piece by piece"
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[-2:-1]] == ["length"]
    last = chunks[-1]
    assert last["usage"] == whole["usage"] and last["images"] == whole["images"] == [{"width": 112, "height": 84}]
    assert last["usage"]["prompt_tokens_details"] == {"image_tokens": 12}
    assert last["usage"]["completion_tokens"] == 12
    assert set(last["timing"]) == {"queue_s", "prepare_s", "prefill_s", "decode_s"}
    assert 0 < last["timing"]["prepare_s"] <= last["timing"]["queue_s"]
    assert last["timing"]["prefill_s"] > 0 and last["timing"]["decode_s"] > 0


def test_no_usage_and_no_token_ids_unless_asked_for(server):
    chunks = server.stream(stream_options=None)
    assert all("usage" not in chunk and "token_ids" not in chunk["choices"][0] for chunk in chunks)


def test_batch_equals_singles(server, bodies):
    contents = [
        bodies.picture(112, 84, 1),
        "No image here",
        bodies.picture(56, 140, 2, text="A longer question, this."),
    ]
    contents.append([*bodies.picture(84, 84, 3), *bodies.picture(56, 56, 4, text="Two images?")])
    singles = [server.text(content, max_tokens=24) for content in contents]
    assert len(set(singles)) == 4, "the answers differ, so that a mix-up would show"
    before = server.statistics()["batches"]
    with ThreadPoolExecutor(5) as pool:
        busy = pool.submit(server.text, "Keep the model busy", max_tokens=400)
        time.sleep(0.15)
        together = list(pool.map(lambda content: server.text(content, max_tokens=24), contents))
        busy.result()
    after = server.statistics()["batches"]
    assert together == singles
    assert after["requests"] - before["requests"] == 5
    # On a busy machine they may not all come in time for one batch; more than one of them must have.
    assert after["count"] - before["count"] < 5, "those that waited went together"


def test_seeded_sampling_repeats_and_depends_on_nothing_else(server, bodies):
    def sampled(seed):
        return server.text(bodies.picture(), temperature=1.5, top_p=0.95, top_k=-1, seed=seed, max_tokens=16)

    first, other = sampled(1), sampled(2)
    assert first != other
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(sampled, (1, 2, 1))) == [first, other, first]
    unseeded = {server.text(temperature=2.0, max_tokens=16) for _ in range(3)}
    assert len(unseeded) == 3, "an unseeded answer follows no earlier seed"


def test_repetition_penalty_and_nothing_of_the_checkpoint_is_in_force(server, bodies):
    content = bodies.picture()
    plain = server.text(content, max_tokens=48)
    assert server.text(content, max_tokens=48, repetition_penalty=1.0, top_p=1.0, top_k=0) == plain
    assert server.text(content, max_tokens=48, repetition_penalty=2.0) != plain


def test_stop_text_is_cut_and_ends_the_answer(server, bodies):
    whole = server.text(bodies.picture(), max_tokens=40)
    position = next(index for index in range(8, 36) if whole[index : index + 2].isascii())
    stop = whole[position : position + 2]
    status, body = server.ask(bodies.picture(), max_tokens=40, stop=[stop, "never written"])
    choice = body["choices"][0]
    assert (status, choice["finish_reason"]) == (200, "stop")
    assert choice["message"]["content"] == whole[: whole.index(stop)]
    assert body["usage"]["completion_tokens"] < 40
    chunks = server.stream(bodies.picture(), max_tokens=40, stop=stop)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == whole[: whole.index(stop)]


def test_several_images_and_pixel_limits(server, bodies):
    def asked(*parts, **values):
        status, body = server.ask([*parts, {"type": "text", "text": "?"}], max_tokens=1, **values)
        assert status == 200, body
        return body["usage"]["prompt_tokens"], body["images"]

    one, two = (bodies.image_part(bodies.png(*size)) for size in ((224, 112), (112, 112)))
    tokens, sizes = asked(one)
    assert sizes == [{"width": 224, "height": 112}]
    both, sizes = asked(one, two)
    assert sizes == [{"width": 224, "height": 112}, {"width": 112, "height": 112}]
    assert both == tokens + 16 + 2
    small, sizes = asked(one, mm_processor_kwargs={"max_pixels": 6272})
    assert small < tokens and sizes[0]["width"] * sizes[0]["height"] <= 6272
    large, sizes = asked(two, mm_processor_kwargs={"min_pixels": 40000})
    assert large > tokens and sizes[0]["width"] * sizes[0]["height"] >= 40000


def test_order_of_text_and_images_and_system_role_count(server, bodies):
    image, text = bodies.picture()
    messages = [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": [text, image]}]
    status, body = server.call("POST", "/v1/chat/completions", {**bodies.request(), "messages": messages})
    assert status == 200
    assert body["choices"][0]["message"]["content"] != server.text([image, text])


def test_ten_megabytes_are_accepted(server, bodies):
    content = bodies.picture(1700, 1500)
    assert len(content[0]["image_url"]["url"]) > 10e6
    status, body = server.ask(content, max_tokens=1)
    assert status == 200, body


def test_transparency_is_white_and_exif_turns(server, bodies):
    def asked(image, **options):
        stream = io.BytesIO()
        image.save(stream, "PNG", **options)
        status, body = server.ask([bodies.image_part(stream.getvalue()), {"type": "text", "text": "?"}])
        assert status == 200, body
        return body["choices"][0]["message"]["content"], body["images"]

    white = asked(Image.new("RGB", (84, 56), "white"))
    assert asked(Image.new("RGBA", (84, 56), (0, 0, 0, 0))) == white
    assert asked(Image.new("L", (84, 56), 255)) == white
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    assert asked(Image.new("RGB", (84, 56)), exif=exif)[1] == [{"width": 56, "height": 84}]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_the_model(server, stream):
    before = server.statistics()["requests"]
    if stream:
        response = server.open_stream("Count", max_tokens=1900)
        response.read(20)
        response.close()
    else:
        import http.client
        import json

        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        body = {"model": "model", "messages": [{"role": "user", "content": "Count"}], "max_tokens": 1900}
        headers = {"Authorization": "Bearer a-key-for-tests"}
        connection.request("POST", "/v1/chat/completions", json.dumps({**body, "temperature": 0}), headers)
        time.sleep(0.3)
        connection.close()
    assert server.text("Next", max_tokens=1)
    after = server.statistics()["requests"]
    assert after["cancelled"] == before["cancelled"] + 1
    assert after["served"] == before["served"] + 1


def test_statistics(server):
    server.text()
    status, found = server.call("POST", "/statistics/reset")
    assert status == 200
    assert found["architecture"] == "Qwen2VLForConditionalGeneration" and found["family"] == "chat_image_text"
    assert (found["device"], found["dtype"], found["attention"], found["threads"]) == ("cpu", "float32", "sdpa", 1)
    assert found["quantization"] is None and found["cuda"] is None
    assert found["weights_bytes"] >= 4 * found["parameters"] > 0
    assert found["load_s"] > 0 and found["resident_bytes"] > 50e6
    assert set(found["versions"]) == {"python", "torch", "transformers", "cuda"}
    assert found["qwen_vl_utils"]["version"] and found["qwen_vl_utils"]["pictures"] == 0
    assert found["requests"]["served"] > 0 and found["batches"]["mean_size"] >= 1
