"""An OpenAI endpoint whose capacity is known: so many servers, each of which needs so long for an answer.

with QueueingEndpoint(servers=4, service_s=0.02) as served:  # carries 200 requests a second
    served.url
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from types import TracebackType

from aiohttp import web

from tests.backends.scripted_endpoint import GOOD, open_stream


class QueueingEndpoint:
    """Answers in the order in which requests came, in a thread of its own; `asked` counts them."""

    def __init__(self, servers: int, service_s: float, *, spread: float = 0.0) -> None:
        self.servers, self.service_s, self.spread = servers, service_s, spread
        self.asked: list[str] = []
        self.halt_after: int | None = None  # from then on nothing is answered
        self._draw = random.Random(7)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> QueueingEndpoint:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._free = asyncio.Semaphore(self.servers)
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.asked.append(json.dumps(body["messages"], ensure_ascii=False))
        if self.halt_after is not None and len(self.asked) > self.halt_after:
            await asyncio.sleep(3600)
        async with self._free:
            await asyncio.sleep(self.service_s * (1 + self.spread * (self._draw.random() - 0.5)))
        response = await open_stream(request)
        await response.write(GOOD)
        await response.write_eof()
        return response
