"""What lies on a page of a PDF: the fields of a form with their values, stamps, notes. PDFium draws them with it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NOT_SHOWN = 2 | 32  # flags of an annotation: Hidden, NoView
PUSHBUTTON = 1 << 16  # flag of a field


@dataclass
class Field:
    """A field of a form, or a text laid on a page. `label` names it in messages; `is_text`: its value is to be read."""

    label: str
    value: str
    rect: tuple[float, float, float, float]  # left, bottom, right, top, in points from the page's lower left
    is_text: bool


class Annotations:
    """What lies on a page: fields of a form with their values, and what has no appearance."""

    def __init__(self, document: Any, sheet: Any) -> None:
        import pypdfium2.raw as raw

        self._raw, self._form = raw, document.formenv
        self.any = raw.FPDFPage_GetAnnotCount(sheet) > 0
        self.fields: list[Field] = []
        self.remarks: list[str] = []
        for index in range(raw.FPDFPage_GetAnnotCount(sheet)):
            annotation = raw.FPDFPage_GetAnnot(sheet, index)
            try:
                if not raw.FPDFAnnot_GetFlags(annotation) & NOT_SHOWN:
                    self._look(annotation)
            finally:
                raw.FPDFPage_CloseAnnot(annotation)

    def _look(self, annotation: Any) -> None:
        raw = self._raw
        without = {raw.FPDF_ANNOT_STAMP: "stamp", raw.FPDF_ANNOT_LINE: "line", raw.FPDF_ANNOT_POLYGON: "polygon"}
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_WIDGET and self._form:
            self._field(annotation)
        elif kind == raw.FPDF_ANNOT_FREETEXT:
            told = _text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
            self.fields.append(Field("a text laid on it", told, self._rect(annotation), is_text=True))
        elif kind in without and not _text(raw.FPDFAnnot_GetAP, annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL):
            told = _text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
            words = f" ({short(told)})" if told else ""
            self.remarks.append(f"has a {without[kind]}{words} laid on it without an appearance, which is not drawn")

    def _rect(self, annotation: Any) -> tuple[float, float, float, float]:
        rect = self._raw.FS_RECTF()
        self._raw.FPDFAnnot_GetRect(annotation, rect)
        return rect.left, rect.bottom, rect.right, rect.top

    def _field(self, annotation: Any) -> None:
        raw, form = self._raw, self._form
        kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
        name = _text(raw.FPDFAnnot_GetFormFieldName, form, annotation)
        value = _text(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
        flags = raw.FPDFAnnot_GetFormFieldFlags(form, annotation)
        is_text = kind in (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)
        self.fields.append(Field(f"the field {name!r}", value, self._rect(annotation), is_text))
        if kind not in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON) or flags & PUSHBUTTON:
            return
        # Asked for a button's value, PDFium tells whether it is drawn with its mark; the file's own value is V.
        state, own = (_text(raw.FPDFAnnot_GetStringValue, annotation, key) for key in (b"AS", b"V"))
        mine = kind == raw.FPDF_FORMFIELD_CHECKBOX or own == _text(
            raw.FPDFAnnot_GetFormFieldExportValue, form, annotation
        )
        meant = next((one for one in (own if mine else "", state) if one not in ("", "Off")), None)
        if meant is not None and not raw.FPDFAnnot_IsChecked(form, annotation):
            self.remarks.append(f"has the field {name!r} with the value {short(meant)}, drawn without its mark")


def name_states(document: Any, number: int) -> None:
    """Say of checkboxes and radio buttons in which state they are, where the file leaves it to the viewer.

    PDFium marks those whose appearance is named (/AS), and where there is no appearance, those whose state is "Yes".
    """
    import pypdfium2.raw as raw

    sheet = document[number]
    for index in range(raw.FPDFPage_GetAnnotCount(sheet)):
        annotation = raw.FPDFPage_GetAnnot(sheet, index)
        state = _text(raw.FPDFAnnot_GetStringValue, annotation, b"AS")
        value = ""
        if raw.FPDFAnnot_GetValueType(annotation, b"V") == raw.FPDF_OBJECT_NAME:  # that of other fields is a string
            value = _text(raw.FPDFAnnot_GetStringValue, annotation, b"V")
        named = state
        if not raw.FPDFAnnot_HasKey(annotation, b"AP"):
            named = "Yes" if (state or value) not in ("", "Off") else state
        elif not state and value:
            named = value
        if named != state:
            held = ctypes.create_string_buffer(f"{named}\0".encode("utf-16-le"))
            raw.FPDFAnnot_SetStringValue(annotation, b"AS", ctypes.cast(held, ctypes.POINTER(raw.FPDF_WCHAR)))
        raw.FPDFPage_CloseAnnot(annotation)
    sheet.close()


def flatten(document: Any, number: int) -> None:
    """Make the appearances of a page's annotations part of its content, so that their text can be looked at."""
    import pypdfium2.raw as raw

    sheet = document[number]
    raw.FPDFPage_Flatten(sheet, raw.FLAT_NORMALDISPLAY)  # where that fails, the page's own text is looked at alone
    sheet.close()


def _text(function: Callable[..., int], *arguments: Any) -> str:
    """Ask PDFium for a text: first for its bytes in UTF-16, then for the text; it ends with a NUL."""
    import pypdfium2.raw as raw

    size = function(*arguments, None, 0)
    if size <= 2:
        return ""
    held = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(held, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return held.raw[: size - 2].decode("utf-16-le", "replace")


def short(text: str) -> str:
    """Quote a text, cut where it is long."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
