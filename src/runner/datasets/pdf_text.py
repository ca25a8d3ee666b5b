"""Checks whether PDFium can render the visible text of a PDF page.

PDFium contains only Latin fonts. It uses these for a font that isn't embedded, and silently omits the characters that
they lack, such as every Cyrillic letter. Seen with pypdfium2 5.15 and PDFium 8149: `FPDFFont_GetGlyphPath` takes a
Unicode character and returns no path if nothing would be drawn; `FPDFText_HasUnicodeMapError` is 1 if the file has only
the character's number in the font.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.datasets.pdf_annotations import Field, short

REMEDY = "save it anew with its fonts embedded (print it to a PDF), or as pictures"
# Render modes that draw no text: invisible, and clipping only. The OCR text under a scan has such a mode.
INVISIBLE = (3, 7)
HYPHENS = "\x02\u00ad\ufffe"  # the characters that PDFium returns for a hyphen at the end of a line
PICTOGRAMS = ("dingbats", "wingdings", "webdings")  # fonts of symbols, which another font would show as letters
OWN_FAMILIES = "Chrom"  # family names of PDFium's own fonts begin like this; other fonts are this machine's
SHOWN_CHARACTERS = 20


@dataclass
class Font:
    """A font that a page uses, and the characters of the page that it can't draw."""

    handle: Any
    name: str
    family: str
    embedded: bool
    known: dict[int, bool] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    characters: int = 0
    # characters known only by their number in the missing font: they are drawn as another letter, or not at all
    garbled: int = 0

    def fails(self) -> bool:
        """Return whether letters or digits are lost, or all characters are known only by their number."""
        return any(character.isalnum() for character in self.lost) or 1 < self.garbled == self.characters


class Text:
    """The visible text of a page, and the characters of it that can't be drawn."""

    def __init__(self, document: Any, number: int, fields: Sequence[Field]) -> None:
        import pypdfium2.raw as raw

        self._raw = raw
        self._fields = fields
        self._fonts: dict[int, Font] = {}
        self._objects: dict[int, Font | None] = {}
        self._lost_fields: dict[str, None] = {}
        sheet = document[number]
        page = sheet.get_textpage()
        try:
            for index, character, font in self._characters(page):
                self._look(page, index, character, font)
            self.remarks = [*self._remarks(), *self._empty_fields(page)]
        finally:
            page.close()
            sheet.close()
        self.lost = any(font.fails() for font in self._fonts.values())
        self.foreign = any(
            not font.embedded and not font.family.startswith(OWN_FAMILIES) for font in self._fonts.values()
        )

    def loss(self) -> str:
        """Return in words what would be lost: the characters, their font, and the form fields that contain them."""
        losses = []
        for font in self._fonts.values():
            if font.fails():
                number, which = (len(font.lost), f" ({_some(font.lost)})") if font.lost else (font.garbled, "")
                losses.append(f"{number} characters in the font {font.name!r}{which}")
        within = f" in {', '.join(self._lost_fields)}" if self._lost_fields else ""
        return f"{' and '.join(losses)}{within}: the font is not embedded, and PDFium has no such letters"

    def _characters(self, page: Any) -> Iterator[tuple[int, str, Font]]:
        """Yield index, character and font of each visible character whose font is not embedded."""
        raw = self._raw
        for index in range(page.count_chars()):
            if not (text := raw.FPDFText_GetTextObject(page, index)):
                continue  # a space that PDFium inserts
            address = ctypes.addressof(text.contents)
            if address not in self._objects:
                self._objects[address] = self._font(text)
            font = self._objects[address]
            if font is not None and not font.embedded:
                yield index, chr(raw.FPDFText_GetUnicode(page, index)), font

    def _font(self, text: Any) -> Font | None:
        """Return the font of a text object; None if the text is invisible."""
        raw = self._raw
        if raw.FPDFTextObj_GetTextRenderMode(text) in INVISIBLE or not (font := raw.FPDFTextObj_GetFont(text)):
            return None
        address = ctypes.addressof(font.contents)
        if address not in self._fonts:
            name, family = _name(raw.FPDFFont_GetBaseFontName, font), _name(raw.FPDFFont_GetFamilyName, font)
            self._fonts[address] = Font(font, name, family, raw.FPDFFont_GetIsEmbedded(font) == 1)
        return self._fonts[address]

    def _look(self, page: Any, index: int, character: str, font: Font) -> None:
        raw = self._raw
        if character.isspace() or (character in HYPHENS and raw.FPDFText_HasUnicodeMapError(page, index) != 1):
            return
        font.characters += 1
        if raw.FPDFText_HasUnicodeMapError(page, index) == 1:
            font.garbled += 1
            return
        if unicodedata.category(character) == "Cc":
            return  # no font has a glyph for it
        code = ord(character)
        if code not in font.known:
            path = raw.FPDFFont_GetGlyphPath(font.handle, code, 12.0)
            font.known[code] = bool(path) and raw.FPDFGlyphPath_CountGlyphSegments(path) > 0
        if not font.known[code]:
            font.lost.append(character)
            if (name := self._field_at(page, index)) is not None:
                self._lost_fields[name] = None

    def _field_at(self, page: Any, index: int) -> str | None:
        x, y = ctypes.c_double(), ctypes.c_double()
        self._raw.FPDFText_GetCharOrigin(page, index, x, y)
        for form_field in self._fields:
            left, bottom, right, top = form_field.rect
            if left <= x.value <= right and bottom <= y.value <= top:
                return form_field.label
        return None

    def _remarks(self) -> Iterator[str]:
        for font in self._fonts.values():
            if font.garbled:
                what = f"has {font.garbled} unknown characters in the font {font.name!r}"
                yield f"{what}: it is not embedded, and other characters may be drawn; {REMEDY}"
            if font.lost:
                yield f"lacks {_some(font.lost)}: the font {font.name!r} is not embedded, and PDFium has no such signs"
            lower = font.name.lower()
            drawn = font.family.lower()
            if (
                not font.embedded
                and any(name in lower for name in PICTOGRAMS)
                and not any(name in drawn for name in PICTOGRAMS)
            ):
                yield f"shows letters in place of the signs of the font {font.name!r}, which is not embedded"

    def _empty_fields(self, page: Any) -> Iterator[str]:
        """Yield a remark for each field whose value is missing in the appearance that the file contains."""
        for form_field in self._fields:
            value = form_field.value
            if form_field.is_text and value.strip() and not page.get_text_bounded(*form_field.rect).strip():
                yield f"has {form_field.label} whose value, {short(value)}, is not shown"


def _name(function: Callable[..., int], font: Any) -> str:
    size = function(font, None, 0)
    buffer = ctypes.create_string_buffer(max(size, 1))
    function(font, buffer, size)
    return buffer.value.decode("utf-8", "replace") or "without a name"


def _some(characters: list[str]) -> str:
    text = "".join(characters)
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")
