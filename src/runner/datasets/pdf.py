"""Renders pages of PDFs with PDFium, as a viewer shows them.

Form fields and annotations are rendered with their values. PDFium makes their appearance if the file has none or asks
for new ones (NeedAppearances). A page that would lose letters or digits is refused (pdf_text.py). PDFium (8149, with
pypdfium2 5.15) doesn't read /UserUnit (PDF 1.7, table 30), so pikepdf reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.datasets.encoded import BadImage
from runner.datasets.pdf_annotations import Annotations, flatten, name_states
from runner.datasets.pdf_text import REMEDY, Text

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

_pdfium = threading.Lock()  # PDFium is not thread-safe


@dataclass(frozen=True, slots=True)
class Drawn:
    """A rendered page. `varies` says that it depends on this machine's fonts, or on appearances that PDFium made.

    `remarks` name the parts that a viewer may show and that are missing here.
    """

    picture: PilImage
    remarks: tuple[str, ...]
    varies: bool


def count(path: Path) -> int:
    """Count the pages. Raise BadImage."""
    with _pdfium:
        document = _open(path)
        try:
            return len(document)
        finally:
            document.close()


def draw(path: Path, page: int | None, dpi: int, check_size: Callable[[int, int], None]) -> Drawn:
    """Render a page, counted from 0 (None: the only page). `check_size` may refuse its size. Raise BadImage."""
    import pypdfium2

    with _pdfium:
        document = _open(path)
        try:
            if document.get_formtype() == pypdfium2.raw.FORMTYPE_XFA_FULL:
                what = "a form of Adobe's XFA kind, whose pages only Adobe's programs draw; print it to a PDF"
                raise BadImage(f"{path}: {what}")
            if page is None and len(document) != 1:
                raise BadImage(f"{path}: {len(document)} pages, and none is named")
            number = page or 0
            if number >= len(document):
                raise BadImage(f"{path}: there is no page {number + 1}; the PDF has {len(document)}")
            name_states(document, number)
            document.init_forms()
            return _draw(path, document, number, dpi, check_size)
        except pypdfium2.PdfiumError as error:
            raise BadImage(f"{path}: page {(page or 0) + 1} can't be drawn: {error}") from error
        finally:
            document.close()


def _open(path: Path) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD
        remedy = ". It asks for a password: save it without one" if locked else ""
        raise BadImage(f"{path}: the PDF can't be opened: {error}{remedy}") from error


def _draw(path: Path, document: Any, number: int, dpi: int, check_size: Callable[[int, int], None]) -> Drawn:
    unit = _user_unit(path, number)
    scale = unit * dpi / 72  # a point is 1/72 inch
    sheet = document[number]
    width, height = sheet.get_size()
    check_size(round(width * scale), round(height * scale))
    picture: PilImage = (
        sheet.render(scale=scale).to_pil().copy()
    )  # a copy, because the bitmap is freed with the document
    annotations = Annotations(document, sheet)
    sheet.close()
    if annotations.any:
        flatten(document, number)
    text = Text(document, number, annotations.fields)
    if text.lost:
        raise BadImage(f"{path}: page {number + 1} would be drawn without {text.loss()}; {REMEDY}")
    varies = unit != 1 or annotations.fields or text.foreign
    return Drawn(picture, tuple(dict.fromkeys((*annotations.remarks, *text.remarks))), bool(varies))


def _user_unit(path: Path, number: int) -> float:
    """Return the length of a page's unit in points: 1 if the file doesn't say, or is damaged."""
    import pikepdf

    try:
        with pikepdf.open(path) as document:
            unit = float(document.pages[number].obj.get("/UserUnit", 1))
    except (pikepdf.PdfError, ValueError, TypeError, IndexError):  # PDFium repairs files that pikepdf may refuse
        return 1.0
    return unit if unit > 0 else 1.0
