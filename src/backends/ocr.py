"""Classic OCR as a backend: tesseract or rapidocr, behind our own server (`backends.ocr_server`).

The answer is the text of the pictures, whatever is asked: neither the prompt nor the sampling has a say. With `boxes`
it is JSON, `[{"bbox": [left, top, right, bottom], "text": "Итого: 5"}]` in pixels of the picture. Settings come as
`EngineSpec.args`:

    batch_size threads engine_args.{engine,languages,psm,boxes}
"""

from __future__ import annotations

import json
import re

from backends.api import EngineSpec, EngineStats, Failure, Launch
from backends.engine_args import PREFIX, settings
from backends.known_failures import first, known
from backends.ocr_engines import BOXES, ENGINES
from backends.ocr_engines.rapid import NO_CYRILLIC
from backends.ocr_engines.tesseract import CYRILLIC, PAGE, PSM

MODELS = "model=tesseract_rus, model=rapidocr"
LANGUAGES = "rus+eng"
_OPTIONS = {"tesseract": ("languages", "psm", "boxes"), "rapidocr": ("boxes",)}
_OWN_WORDS = re.compile(r"backends\.ocr_server: cannot load \w+: (?P<words>[^\n]+)")
_FAILURES = (
    known(
        r"No module named '(?P<module>aiohttp|PIL|pytesseract|rapidocr|onnxruntime|cv2)['.]",
        "the engine's environment has no {name}: install it there, or leave env out",
    ),
)


class OcrBackend:
    """Serves a program that reads pages."""

    name = "ocr"
    pixels_at_start = True  # so that a limit on pixels is refused before anything starts: pages are read as they are

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of our server. Raise ValueError for a setting that it does not know."""
        engine, given = self.options(spec)
        if spec.quant != "native":
            raise ValueError(
                f"quant={spec.quant}: an OCR program has no quantisation; leave quant out, or quant=native"
            )
        if spec.weights != "real":
            raise ValueError(f"model.weights={spec.weights}: an OCR program has its own")
        chosen = settings(spec, ("batch_size", "threads"))
        pages = chosen.get("batch_size", "1")
        if engine == "rapidocr" and pages != "1":
            raise ValueError(f"backend.batch_size={pages}: rapidocr reads one page at a time; give it backend.threads")
        argv = ["python", "-m", "backends.ocr_server", "--engine", engine, "--port", str(port), "--workers", pages]
        variables = {}
        if engine == "tesseract":
            argv += ["--languages", given.get("languages", LANGUAGES), "--psm", given.get("psm", str(PAGE))]
        if "boxes" in given:
            argv += ["--boxes", given["boxes"]]
        if "threads" in chosen:
            argv += ["--threads", chosen["threads"]]
            variables["OMP_THREAD_LIMIT"] = chosen["threads"]
        return Launch(tuple(argv), variables=variables, statistics_path="/statistics", token_ids=False)

    def options(self, spec: EngineSpec) -> tuple[str, dict[str, str]]:
        """Return the program and its own options. Raise ValueError for those that it does not know."""
        given = {name.removeprefix(PREFIX): value for name, value in spec.args if name.startswith(PREFIX)}
        engine = given.pop("engine", "")
        if engine not in ENGINES:
            what = f"{engine!r} is not one of {', '.join(ENGINES)}" if engine else "which OCR program?"
            raise ValueError(f"backend.engine_args.engine: {what}; models that name one: {MODELS}")
        for name in given:
            if name not in _OPTIONS[engine]:
                has = ", ".join(_OPTIONS[engine])
                raise ValueError(f"backend.engine_args.{name}: {engine} has no such option; it has: {has}")
        if "psm" in given and not (given["psm"].isdecimal() and int(given["psm"]) in PSM):
            raise ValueError(f"backend.engine_args.psm={given['psm']}: 1 to 13 (tesseract --help-psm)")
        if given.get("boxes", "none") not in BOXES[engine]:
            valid = ", ".join(BOXES[engine])
            raise ValueError(f"backend.engine_args.boxes={given['boxes']}: {engine} has: {valid}")
        return engine, given

    def lacks_cyrillic(self, spec: EngineSpec) -> str:
        """Say why this program can't write Russian letters, with a remedy; nothing where it can."""
        engine, given = self.options(spec)
        if engine == "rapidocr":
            return f"{NO_CYRILLIC}; model=tesseract_rus has"
        languages = given.get("languages", LANGUAGES)
        if set(languages.split("+")) & set(CYRILLIC):
            return ""
        return f"tesseract reads {languages}; +backend.engine_args.languages=rus+eng has Cyrillic letters"

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        own = [match["words"] for match in _OWN_WORDS.finditer(log_tail)]
        return Failure("start_failed", own[-1]) if own else first(_FAILURES, log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Return what the server says of its program; its memory is measured from outside."""
        del before, log
        try:
            account = json.loads(after)
            facts = {str(name): str(value) for name, value in account["facts"].items()}
            facts |= {name: str(account[name]) for name in ("engine", "languages", "psm", "boxes") if name in account}
        except (ValueError, KeyError, TypeError, AttributeError):
            return EngineStats(notes=("the OCR server's statistics can't be read",))
        return EngineStats(facts=facts)
