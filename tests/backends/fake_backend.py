"""A backend whose engine is `process/fake_engine.py`: real sockets and processes, no model."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from patience import patient

from backends.api import Engine, EngineSpec, EngineStats, Failure, GenerationRequest, Launch, Message, TextPart
from backends.client import Client

FAKE_ENGINE = Path(__file__).parent / "process" / "fake_engine.py"


class FakeBackend:
    """Passes `spec.args` on as flags of the fake engine; `first_port` replaces the port of the first launch."""

    name = "fake"

    def __init__(self, first_port: int | None = None) -> None:
        self.first_port = first_port
        self.ports: list[int] = []

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        if self.first_port is not None and not self.ports:
            port = self.first_port
        self.ports.append(port)
        argv = [sys.executable, str(FAKE_ENGINE), "--port", str(port)]
        for name, value in spec.args:
            argv += [f"--{name}", value]
        return Launch(tuple(argv), statistics_path="/statistics", reset_path="/statistics/reset")

    def translate(self, log_tail: str) -> Failure | None:
        if "no more widgets" in log_tail:
            return Failure("out_of_memory", "the widgets ran out: order more")
        return None

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        counts = [json.loads(body)["asked"] for body in (before, after)]
        return EngineStats(weights_gib=0.5, facts={"asked": str(counts[1] - counts[0]), "log": log.splitlines()[0]})


def spec(**args: object) -> EngineSpec:
    """Return the spec of a fake engine with these flags."""
    return EngineSpec("fake", "fake", args=tuple((name, str(value)) for name, value in sorted(args.items())))


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Poll until `condition` holds; fail after `timeout_s` seconds."""
    deadline = time.monotonic() + patient(timeout_s)
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.01)


def gone(*pids: int) -> bool:
    """Say whether none of the processes lives."""
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # nobody may reap orphans in a container
                return False
        except psutil.NoSuchProcess:
            continue
    return True


def ask(engine: Engine, words: str) -> str:
    """Ask one question under an event loop of its own; return the answer, or why there is none."""

    async def once() -> str:
        async with Client(engine.endpoint, timeout_s=100) as client:
            generation = await client.ask(GenerationRequest("1", (Message("user", (TextPart(words),)),)))
            return generation.text if generation.text is not None else str(generation.error)

    return asyncio.run(once())
