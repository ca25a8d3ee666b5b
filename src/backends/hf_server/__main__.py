"""Serve one model: `python -m backends.hf_server --model PATH_OR_ID --port N`.

The server listens before it loads, so that whoever waits for it sees how far it is. SIGTERM and SIGINT end it at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn

from aiohttp import web

from backends.hf_server.errors import LoadError
from backends.hf_server.http import Server
from backends.hf_server.settings import Settings, parse_settings

logger = logging.getLogger("backends.hf_server")

# Long enough for a poller to read from /health why the server ends.
FAILED_FOR_S = 0.5


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until a signal comes; exit code 1 where the model can't be loaded."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = parse_settings(arguments)
    _set_environment(settings)
    code = asyncio.run(_serve(settings))
    # The model thread may be in the middle of a batch: ending the interpreter properly would wait for it, or crash.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _serve(settings: Settings) -> int:
    server = Server(settings)
    runner = web.AppRunner(server.app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        logger.error("cannot listen on %s:%d: %s", settings.host, settings.port, error)  # noqa: TRY400 - says it all
        return 1
    logger.info("listening on http://%s:%d", settings.host, settings.port)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _settle, ended, 0)

    def own_the_model() -> None:
        failure = _load_and_serve(server)
        loop.call_soon_threadsafe(_settle, ended, failure)

    threading.Thread(target=own_the_model, name="model", daemon=True).start()
    code = await ended
    if code:
        await asyncio.sleep(FAILED_FOR_S)
    return code


def _settle(ended: asyncio.Future[int], code: int) -> None:
    if not ended.done():
        ended.set_result(code)


def _load_and_serve(server: Server) -> int:
    """Load the model and answer batches for ever; return an exit code where that fails."""
    try:
        _say(server, "importing torch and transformers")
        # Here and not above: they take seconds, in which the server already listens.
        from backends.hf_server import direct, generation
        from backends.hf_server.families import DirectFamily
        from backends.hf_server.loading import load
        from backends.hf_server.statistics import model_facts

        _set_threads(server.settings)
        loaded = load(server.settings, lambda detail: _say(server, detail))
        server.ready(loaded, model_facts(loaded))
        logger.info("ready after %.1f s of loading", loaded.load_s)
        run_batch = direct.run_batch if isinstance(loaded.family, DirectFamily) else generation.run_batch
        server.batcher.serve(lambda batch: run_batch(loaded, batch))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server can't go on, and must say why
        traceback.print_exc()
        server.error = str(error) if isinstance(error, LoadError) else f"{type(error).__name__}: {error}"
        what = "stopped serving" if server.loaded else "cannot load the model"
        logger.error("%s: %s", what, " ".join(server.error.split()))  # noqa: TRY400 - the traceback came before
    return 1


def _say(server: Server, detail: str) -> None:
    server.detail = detail
    logger.info("%s", detail)


def _set_environment(settings: Settings) -> None:
    """Set what torch and transformers read when they are imported."""
    if settings.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if settings.is_folder and settings.adapter is None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # a folder holds everything: nothing is looked up in the network


def _set_threads(settings: Settings) -> None:
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)


if __name__ == "__main__":
    main()
