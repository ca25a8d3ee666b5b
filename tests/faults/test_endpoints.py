"""An endpoint of somebody else on a bad day, from the command line."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from tests.backends.scripted_endpoint import GOOD, STREAMS, huge_answer, stream
from tests.conftest import CommandLine
from tests.faults.results import last
from tests.patience import patient

QUESTIONS = ("good", "busy", "broken", "half_stream", "invalid_utf8", "no_choices", "huge_answer", "good again")
PASSES = ("busy", "broken", "half_stream")  # the first time each; then they are answered


class BadDay:
    """Does what the question says, and keeps when it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, list[float]] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        question = (await request.json())["messages"][-1]["content"][-1]["text"]
        times = self.asked.setdefault(question, [])
        times.append(time.monotonic())
        if question in PASSES and len(times) > 1:
            return await stream(request, GOOD)
        if question == "busy":
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "2"})
        if question == "broken":
            return web.Response(status=500, text="oops")
        if question == "huge_answer":
            return await huge_answer(request)
        return await stream(request, STREAMS.get(question, GOOD))


@pytest.fixture
def day() -> Iterator[tuple[BadDay, str]]:
    """The endpoint in a thread, and its address."""
    bad, ready, loop = BadDay(), threading.Event(), asyncio.new_event_loop()
    addresses: list[str] = []

    async def serve() -> None:
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/chat/completions", bad.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        addresses.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        ready.set()

    loop.create_task(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert ready.wait(patient(10))
    yield bad, addresses[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_what_passes_is_waited_for_and_what_does_not_fails_alone(
    cli: CommandLine, day: tuple[BadDay, str], tmp_path: Path
):
    bad, url = day
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    rows = [{"id": text, "images": ["a.png"], "question": text} for text in QUESTIONS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = ("model=openai", "model.name=m", f"backend.base_url={url}", "backend.api_key_variable=null", "tracking=none",
           "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[]", "warmup=0")  # fmt: skip
    ended = cli(*job)
    assert ended.code == 0, ended.err
    found = {row["sample_id"]: row for row in last(cli.folder)["rows"]}
    answered = {name for name, row in found.items() if row["text"] == "Петров"}
    assert answered == {"good", "good again", *PASSES}
    assert all(found[name]["attempts"] == 2 for name in PASSES)
    first, second = bad.asked["busy"]
    assert 2.0 <= second - first < 10, "as long as Retry-After says"
    failed = {name: row["error"] for name, row in found.items() if row["error"]}
    assert {name: error["kind"] for name, error in failed.items()} == dict.fromkeys(
        ("invalid_utf8", "no_choices", "huge_answer"), "bad_response"
    )
    assert all(row["text"] is None for row in found.values() if row["error"]), "never an empty answer"
    assert "exceeds 10 MB" in failed["huge_answer"]["message"]
    asked = {name: len(times) for name, times in bad.asked.items()}
    assert cli(*job).code == 0
    for name in QUESTIONS:
        assert len(bad.asked[name]) == asked[name] + (name in failed), "what failed is asked again, and nothing else"
