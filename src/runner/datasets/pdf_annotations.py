"""The annotations of a PDF page, which PDFium renders with it: form fields with their values, stamps, notes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NOT_SHOWN = 2 | 32  # flags of an annotation: Hidden, NoView
PUSHBUTTON = 1 << 16  # a field's flag


@dataclass
class Field:
    """A form field, or a text annotation. `label` names it in messages; `is_text` says that its value is a text."""

    label: str
    value: str
    rect: tuple[float, float, float, float]  # left, bottom, right, top, in points from the page's lower left
    is_text: bool


class Annotations:
    """The annotations of a page: its form fields with their values, and remarks on annotations without appearance."""

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
            contents = _text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
            self.fields.append(Field("a text laid on it", contents, self._rect(annotation), is_text=True))
        elif kind in without and not _text(raw.FPDFAnnot_GetAP, annotation, raw.FPDF_ANNOT_APPEARANCEMODE_NORMAL):
            contents = _text(raw.FPDFAnnot_GetStringValue, annotation, b"Contents")
            words = f" ({short(contents)})" if contents else ""
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
        # PDFium's value of a button says whether it is rendered with its mark; the value in the file is V.
        state, in_file = (_text(raw.FPDFAnnot_GetStringValue, annotation, key) for key in (b"AS", b"V"))
        is_own = kind == raw.FPDF_FORMFIELD_CHECKBOX or in_file == _text(
            raw.FPDFAnnot_GetFormFieldExportValue, form, annotation
        )
        checked = next((value for value in (in_file if is_own else "", state) if value not in ("", "Off")), None)
        if checked is not None and not raw.FPDFAnnot_IsChecked(form, annotation):
            self.remarks.append(f"has the field {name!r} with the value {short(checked)}, drawn without its mark")


def name_states(document: Any, number: int) -> None:
    """Set the state of checkboxes and radio buttons (/AS) if the file leaves it to the viewer.

    PDFium marks a button if its appearance is named by /AS; without an appearance, if its state is "Yes".
    """
    import pypdfium2.raw as raw

    sheet = document[number]
    for index in range(raw.FPDFPage_GetAnnotCount(sheet)):
        annotation = raw.FPDFPage_GetAnnot(sheet, index)
        state = _text(raw.FPDFAnnot_GetStringValue, annotation, b"AS")
        value = ""
        if raw.FPDFAnnot_GetValueType(annotation, b"V") == raw.FPDF_OBJECT_NAME:  # other fields have a string
            value = _text(raw.FPDFAnnot_GetStringValue, annotation, b"V")
        named = state
        if not raw.FPDFAnnot_HasKey(annotation, b"AP"):
            named = "Yes" if (state or value) not in ("", "Off") else state
        elif not state and value:
            named = value
        if named != state:
            buffer = ctypes.create_string_buffer(f"{named}\0".encode("utf-16-le"))
            raw.FPDFAnnot_SetStringValue(annotation, b"AS", ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)))
        raw.FPDFPage_CloseAnnot(annotation)
    sheet.close()


def flatten(document: Any, number: int) -> None:
    """Make the appearances of a page's annotations part of its content, so that their text can be checked."""
    import pypdfium2.raw as raw

    sheet = document[number]
    raw.FPDFPage_Flatten(sheet, raw.FLAT_NORMALDISPLAY)  # if that fails, only the page's own text is checked
    sheet.close()


def _text(function: Callable[..., int], *arguments: Any) -> str:
    """Return a text from PDFium, whose functions first give the size of the UTF-16 text with its NUL, then the text."""
    import pypdfium2.raw as raw

    size = function(*arguments, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


def short(text: str) -> str:
    """Return a text in quotation marks, shortened to 40 characters."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
