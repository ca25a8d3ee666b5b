"""Listens on a port until a signal comes, while the model is loaded and owned by a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from aiohttp import web

from backends.chat_server.http import ChatServer

# Long enough for a poller to read from /health why the server ends.
FAILED_FOR_S = 0.5


def run(server: ChatServer, port: int, own: Callable[[], int], *, host: str, logger: logging.Logger) -> NoReturn:
    """Serve until SIGTERM or SIGINT comes, or until `own`, which loads the model, returns an exit code.

    It listens before the model is there, so that whoever waits for it sees how far it is.
    """
    code = asyncio.run(_serve(server, host, port, own, logger))
    # The model's thread may be in the middle of an answer: ending the interpreter properly would wait for it, or crash.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _serve(server: ChatServer, host: str, port: int, own: Callable[[], int], logger: logging.Logger) -> int:
    runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        logger.error("cannot listen on %s:%d: %s", host, port, error)  # noqa: TRY400 - says it all
        return 1
    logger.info("listening on http://%s:%d", host, port)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, ended, 0)

    def own_the_model() -> None:
        loop.call_soon_threadsafe(_settle, ended, own())

    threading.Thread(target=own_the_model, name="model", daemon=True).start()
    code = await ended
    if code:
        await asyncio.sleep(FAILED_FOR_S)
    return code


def _settle(ended: asyncio.Future[int], code: int) -> None:
    if not ended.done():
        ended.set_result(code)
