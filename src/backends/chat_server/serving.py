"""Listens on a port until a signal arrives, while a separate thread loads and runs the model."""

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

# Seconds for which a failed server still answers, so that a client that polls /health can read the reason.
FAILED_FOR_S = 0.5


def run(server: ChatServer, port: int, own: Callable[[], int], *, host: str, logger: logging.Logger) -> NoReturn:
    """Serve until SIGTERM or SIGINT arrives, or until `own`, which loads and runs the model, returns an exit code.

    The server listens before the model is loaded, so that clients can watch the progress of loading.
    """
    code = asyncio.run(_serve(server, host, port, own, logger))
    # A regular exit of the interpreter would wait for the model's thread, or crash, if it is computing an answer.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _serve(server: ChatServer, host: str, port: int, own: Callable[[], int], logger: logging.Logger) -> int:
    runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        logger.error("cannot listen on %s:%d: %s", host, port, error)  # noqa: TRY400 - a traceback would add nothing
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
