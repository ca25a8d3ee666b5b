"""Names the OCR program of a job in the place of a checkpoint: its version and its files are part of each answer's key.

tesseract is a program of the system, so that no environment of Python tells which one it is. rapidocr in an environment
of its own (conf/env/rapidocr.yaml) is named by that one's pins: its wheel carries the weights.
"""

from __future__ import annotations

import dataclasses

from backends.api import EngineSpec
from backends.ocr import LANGUAGES, OcrBackend
from backends.ocr_engines import OcrMissing, rapid, tesseract
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.planning import environments


def named(config: Config, spec: EngineSpec, backend: OcrBackend) -> EngineSpec:
    """Return the spec with the program's name and content. Raise Refused where it is not installed here."""
    engine, options = backend.options(spec)
    kind = environments.chosen(config).kind
    try:
        if kind in ("container", "remote") or (engine == "rapidocr" and kind == "uv"):
            facts = {"environment": spec.env}
        elif engine == "rapidocr":
            facts = rapid.facts()
        else:
            tesseract.check(languages := options.get("languages", LANGUAGES))
            facts = {"version.tesseract": tesseract.version(), **tesseract.digests(languages)}
    except OcrMissing as error:
        raise Refused(Problem(error.what, f"model={config.model.name}", error.remedy)) from error
    digest = " ".join([engine, *(f"{name}={value}" for name, value in facts.items())])
    return dataclasses.replace(spec, checkpoint=engine, digest=digest)
