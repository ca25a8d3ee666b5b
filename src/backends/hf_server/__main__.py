"""Serve one model: `python -m backends.hf_server --model PATH_OR_ID --port N`.

The server listens before it loads the model, so that clients can watch the progress. SIGTERM and SIGINT end it at once.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from backends.chat_server import serving
from backends.chat_server.errors import LoadError
from backends.hf_server.http import Server
from backends.hf_server.settings import Settings, parse_settings

logger = logging.getLogger("backends.hf_server")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until a signal arrives. Exit with 1 if the model can't be loaded."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = parse_settings(arguments)
    _set_environment(settings)
    server = Server(settings)
    serving.run(server, settings.port, lambda: _load_and_serve(server), host=settings.host, logger=logger)


def _load_and_serve(server: Server) -> int:
    """Load the model and answer batches forever. Return an exit code if that fails."""
    try:
        _say(server, "importing torch and transformers")
        # These imports take seconds, so they are here: the server is already listening.
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
    except BaseException as error:  # noqa: BLE001 - after any error the server can't continue, and must report the reason
        traceback.print_exc()
        server.error = str(error) if isinstance(error, LoadError) else f"{type(error).__name__}: {error}"
        what = "stopped serving" if server.loaded else "cannot load the model"
        logger.error("%s: %s", what, " ".join(server.error.split()))  # noqa: TRY400 - the traceback was printed above
    return 1


def _say(server: Server, detail: str) -> None:
    server.detail = detail
    logger.info("%s", detail)


def _set_environment(settings: Settings) -> None:
    """Set the environment variables that torch and transformers read when they are imported."""
    if settings.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if settings.is_folder and settings.adapter is None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # a folder contains all files, so the network is not needed


def _set_threads(settings: Settings) -> None:
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)


if __name__ == "__main__":
    main()
