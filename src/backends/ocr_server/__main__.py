"""Serve one OCR program: `python -m backends.ocr_server --engine tesseract --port N`. SIGTERM and SIGINT end it."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn

from backends.chat_server import serving
from backends.ocr_engines import OcrMissing, Reader
from backends.ocr_server.server import Server
from backends.ocr_server.settings import Settings, parse_settings

logger = logging.getLogger("backends.ocr_server")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serve until a signal arrives. Exit with 1 if the OCR program is not installed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    settings = parse_settings(arguments)
    server = Server(settings)
    serving.run(server, settings.port, lambda: _own(server), host=settings.host, logger=logger)


def _own(server: Server) -> int:
    """Load the OCR program and let it answer forever. Return an exit code if it can't be loaded."""
    server.detail = f"loading {server.settings.engine}"
    try:
        server.ready(_reader(server.settings))
    except OcrMissing as error:
        server.error = str(error)
    except Exception as error:  # noqa: BLE001 - after any error the server can't continue, and must report the reason
        traceback.print_exc()
        server.error = f"{type(error).__name__}: {error}"
    if server.error is not None:
        logger.error("cannot load %s: %s", server.settings.engine, " ".join(server.error.split()))
        return 1
    logger.info("ready: %s", server.account())
    threading.Event().wait()  # the workers answer
    return 0


def _reader(settings: Settings) -> Reader:
    if settings.engine == "rapidocr":
        from backends.ocr_engines.rapid import Rapid

        return Rapid(settings.threads)
    from backends.ocr_engines.tesseract import Tesseract

    return Tesseract(settings.languages, settings.psm)


if __name__ == "__main__":
    main()
