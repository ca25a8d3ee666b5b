"""tesseract, a program of the system: Debian's tesseract-ocr, with a package for each language (tesseract-ocr-rus).

pytesseract 0.3.13 hands it a PNG and reads its text, or a TSV with places, back; the files of a language are found as
`tesseract --list-langs` says (5.x names the folder in its first line).
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.ocr_engines import OcrFailed, OcrMissing, Placed, within

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL = "apt install tesseract-ocr tesseract-ocr-rus, and pip install pytesseract"
PAGE = 3  # page segmentation mode: find out by itself what the page looks like; tesseract's own default
PSM = range(1, 14)  # 0 detects orientation alone, and reads nothing
# Of the languages that tesseract has data for, those written with Cyrillic letters.
CYRILLIC = (
    *("rus", "ukr", "bel", "bul", "srp", "mkd", "kaz", "kir", "tgk", "tat", "mon", "uzb_cyrl", "aze_cyrl"),
    "script/Cyrillic",
)


@dataclass(frozen=True)
class Tesseract:
    """Reads with some languages ("rus+eng") and one page segmentation mode (tesseract --help-psm)."""

    languages: str
    psm: int = PAGE

    def __post_init__(self) -> None:
        """Raise OcrMissing where the program or a language is not here."""
        check(self.languages)

    def read(self, picture: Image) -> str:
        """Return the text of an RGB picture. Raises OcrFailed."""
        import pytesseract

        return str(self._asked(pytesseract.image_to_string, picture)).strip()

    def places(self, picture: Image, unit: str) -> Sequence[Placed]:
        """Return its lines or words with the boxes around their letters, in its order. Raises OcrFailed."""
        import pytesseract

        # TSV: a row for each block, paragraph, line and word; only those of words have a text.
        found = self._asked(pytesseract.image_to_data, picture, output_type=pytesseract.Output.DICT)
        gathered: dict[tuple[int, ...], list[Placed]] = {}
        for row, text in enumerate(map(str, found["text"])):
            if not text.strip():
                continue
            number = *(found[name][row] for name in ("page_num", "block_num", "par_num", "line_num")), row
            left, top, width, height = (found[name][row] for name in ("left", "top", "width", "height"))
            box = within((left, top, left + width, top + height), picture.width, picture.height)
            gathered.setdefault(number if unit == "words" else number[:-1], []).append(Placed(text.strip(), box))
        return list(map(_joined, gathered.values()))

    def _asked(self, ask: Callable[..., Any], picture: Image, **more: Any) -> Any:
        import pytesseract

        try:
            return ask(picture, lang=self.languages, config=f"--psm {self.psm}", **more)
        except (pytesseract.TesseractError, OSError, RuntimeError, ValueError) as error:
            raise OcrFailed(" ".join(str(error).split())[:300]) from error

    def facts(self) -> Mapping[str, str]:
        """Return the program's version, and the digest of each language's file."""
        return {"version.tesseract": version(), **digests(self.languages)}


def _joined(words: Sequence[Placed]) -> Placed:
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    return Placed(" ".join(word.text for word in words), (min(lefts), min(tops), max(rights), max(bottoms)))


def check(languages: str) -> None:
    """Raise OcrMissing where the program or one of the languages is not here."""
    known = installed()
    if missing := [language for language in languages.split("+") if language not in known]:
        what = f"tesseract has no language {', '.join(missing)} here; it has: {', '.join(known)}"
        raise OcrMissing(what, f"apt install tesseract-ocr-{(missing[0] or 'rus').replace('_', '-')}")


@functools.cache
def version() -> str:
    """Return the program's version. Raises OcrMissing."""
    try:
        import pytesseract

        return str(pytesseract.get_tesseract_version())
    except ImportError as error:
        raise OcrMissing("the package pytesseract is not installed", INSTALL) from error
    except (OSError, SystemExit, RuntimeError) as error:  # TesseractNotFoundError is an EnvironmentError
        raise OcrMissing(f"tesseract does not run here: {error}", INSTALL) from error


@functools.cache
def installed() -> tuple[str, ...]:
    """Return the languages that the program has data for. Raises OcrMissing."""
    version()
    import pytesseract

    return tuple(pytesseract.get_languages())


def digests(languages: str) -> dict[str, str]:
    """Return a digest of each language's file, `unknown` where the program doesn't say where its files are."""
    folder = _data_folder()
    digest_of = {}
    for language in languages.split("+"):
        file = folder / f"{language}.traineddata" if folder is not None else None
        known = file is not None and file.is_file()
        digest_of[f"data.{language}"] = _digest(str(file), file.stat().st_mtime_ns) if file and known else "unknown"
    return digest_of


@functools.cache
def _data_folder() -> Path | None:
    version()
    import pytesseract

    command = [pytesseract.pytesseract.tesseract_cmd, "--list-langs"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if named := re.search(r'languages in "([^"]+)"', said.stdout + said.stderr):
        return Path(named[1])
    prefix = os.environ.get("TESSDATA_PREFIX")  # 4.x doesn't name the folder
    return Path(prefix) if prefix else None


@functools.cache
def _digest(path: str, modified: int) -> str:  # noqa: ARG001 - part of the cache's key
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
