"""An endpoint on this machine that streams each answer at known times, and records when it sent each piece.

python benchmarks/parts/timed_endpoint.py --first-ms 120 --spread-ms 80 --between-ms 15 --pieces 10    prints its port

The times are planned from the moment when the first bytes of a request came: the first piece after `first-ms` and up to
`spread-ms` more, each next one after `between-ms`. What it truly did is recorded on the machine's monotonic clock,
since a busy machine wakes it later. It stands on a bare asyncio protocol, so that a record is taken where bytes come
and go: a web framework takes about a millisecond in between, which would count as an error of the program under test.
HTTP is read by h11.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import functools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen

import h11

GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Script:
    """Milliseconds to the first piece and between pieces, and how many there are; each piece is one token.

    The first piece comes up to `spread_ms` later: evenly spread over any number of requests, the same in each run
    (multiples of the golden ratio modulo 1: Knuth, The Art of Computer Programming 3, 6.4).
    """

    first_ms: float = 120.0
    spread_ms: float = 0.0
    between_ms: float = 15.0
    pieces: int = 10

    def due_ms(self, request: int, piece: int) -> float:
        """Return when a piece of a request is due, in milliseconds after the request came; both count from 0."""
        return self.first_ms + self.spread_ms * (request * GOLDEN % 1) + piece * self.between_ms


@contextlib.contextmanager
def running(script: Script) -> Iterator[str]:
    """Run the endpoint as a process of its own; yield its address, without /v1."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in dataclasses.asdict(script).items()]
    command = [sys.executable, __file__, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def records(url: str) -> list[list[float]]:
    """Return, for each answer since the last call: when its request came, and when each piece was sent. Seconds."""
    with urlopen(f"{url}/records") as response:
        found: list[list[float]] = json.loads(response.read())
    return found


@dataclass
class Serving:
    """A running endpoint: its address without /v1, how many requests it was asked, and what `records` returns."""

    url: str = ""
    asked: int = 0
    kept: list[list[float]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Serving]:
    """Serve in this event loop."""
    told = Serving()
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(script, told), "127.0.0.1", 0)
    async with server:
        told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield told


@functools.cache
def _reply(script: Script) -> Sequence[bytes]:
    """Return the bytes of a whole answer: headers, each piece, the end. Made once, so that sending takes no time."""
    http = h11.Connection(h11.SERVER)
    http.receive_data(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while http.next_event() is not h11.PAUSED and http.their_state is not h11.DONE:
        pass
    choices = [{"index": 0, "delta": {"content": "а"}, "finish_reason": None} for _ in range(script.pieces)]
    choices[-1]["finish_reason"] = "stop"
    usage = {"prompt_tokens": 60, "completion_tokens": script.pieces}
    events = [{"model": "model", "choices": [choice]} for choice in choices] + [{"choices": [], "usage": usage}]
    pieces = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    pieces[-1] += b"data: [DONE]\n\n"
    headers = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
    sent = [http.send(h11.Response(status_code=200, headers=headers)), *(http.send(h11.Data(one)) for one in pieces)]
    sent[-1] = (sent[-1] or b"") + (http.send(h11.EndOfMessage()) or b"")
    return [part or b"" for part in sent]


class _Connection(asyncio.Protocol):
    """One connection, which is kept; one request at a time."""

    def __init__(self, script: Script, told: Serving) -> None:
        self._script, self._told = script, told
        self._clock = asyncio.get_running_loop().time  # time.monotonic(), the same for all processes of a machine
        self._http = h11.Connection(h11.SERVER)
        self._came: float | None = None
        self._path = ""
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._came is None:
            self._came = self._clock()
        self._http.receive_data(data)
        while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self._path = event.target.decode().partition("?")[0]
            elif isinstance(event, h11.EndOfMessage):
                self._answering = asyncio.create_task(self._answer(self._came))
            elif isinstance(event, h11.ConnectionClosed):
                self._transport.close()
                break

    def connection_lost(self, _error: Exception | None) -> None:
        if self._answering is not None:
            self._answering.cancel()

    async def _answer(self, came: float) -> None:
        if self._path.endswith("/chat/completions"):
            await self._stream(came)
        elif self._path.endswith("/records"):
            self._tell(self._told.kept)
            self._told.kept.clear()
        else:
            self._tell({"data": [{"id": "model"}]})
        self._came, self._http = None, h11.Connection(h11.SERVER)

    def _tell(self, content: Any) -> None:
        body = json.dumps(content).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        for event in (h11.Response(status_code=200, headers=headers), h11.Data(body), h11.EndOfMessage()):
            self._transport.write(self._http.send(event) or b"")

    async def _stream(self, came: float) -> None:
        head, *pieces, end = _reply(self._script)
        times, request = [came], self._told.asked
        self._told.asked += 1
        self._transport.write(head)
        for number, piece in enumerate(pieces):
            due = came + self._script.due_ms(request, number) / 1000
            await asyncio.sleep(max(0.0, due - self._clock()))
            times.append(self._clock())
            self._transport.write(piece)
        self._transport.write(end)
        self._told.kept.append(times)


async def serve(script: Script) -> None:
    """Serve until the input ends."""
    async with serving(script) as told:
        print(told.url.rpartition(":")[2], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for one in dataclasses.fields(Script):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default)
    asyncio.run(serve(Script(**vars(parser.parse_args()))))
