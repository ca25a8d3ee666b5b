"""Parses and checks the server's command line. Standard library only."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from backends.ocr_engines import BOXES, ENGINES

KEY_VARIABLE = "RUNNER_ENGINE_KEY"


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings. A field is named like its flag; `api_key` is read from `RUNNER_ENGINE_KEY`."""

    engine: str
    port: int
    host: str = "127.0.0.1"
    served_model_name: str = "model"
    languages: str = "rus+eng"
    psm: int = 3
    boxes: str = "none"
    workers: int = 1
    threads: int | None = None
    api_key: str = field(default="", repr=False)


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Parse the command line. If it is wrong, argparse prints the usage and exits with code 2."""
    parser = argparse.ArgumentParser(prog="python -m backends.ocr_server", allow_abbrev=False)
    add = parser.add_argument
    add("--engine", required=True, choices=ENGINES)
    add("--port", required=True, type=int)
    add("--host", default="127.0.0.1")
    add("--served-model-name", default="model", help="the name that requests use")
    add("--languages", default="rus+eng", help="languages of tesseract, such as rus+eng")
    add("--psm", default=3, type=int, help="tesseract's page segmentation mode, 1 to 13 (tesseract --help-psm)")
    add("--boxes", default="none", choices=BOXES["tesseract"], help="answer with JSON: what is read, with its places")
    add("--workers", default=1, type=int, help="number of pages that are read at once")
    add("--threads", type=int, help="CPU threads of onnxruntime; tesseract heeds OMP_THREAD_LIMIT")
    return Settings(**vars(parser.parse_args(arguments)), api_key=os.environ.get(KEY_VARIABLE, ""))
