"""The visible text of a page of a PDF, held against what PDFium can draw of it.

PDFium carries Latin glyphs only. For a font that isn't embedded it takes those, and leaves out without a word what they
lack: every Cyrillic letter. Found in pypdfium2 5.15 with PDFium 8149: `FPDFFont_GetGlyphPath` takes a Unicode character
and gives no path where nothing would be drawn, and `FPDFText_HasUnicodeMapError` is 1 where a character's number is all
that the file says of it.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.datasets.pdf_annotations import Field, short

REMEDY = "save it anew with its fonts embedded (print it to a PDF), or as pictures"
# Ways of drawing text: not at all, and as a clip alone. The text that OCR laid under a scan is such.
INVISIBLE = (3, 7)
HYPHENS = "\x02\u00ad\ufffe"  # what PDFium puts for a hyphen at the end of a line
PICTOGRAMS = ("dingbats", "wingdings", "webdings")  # their letters are drawings; in another font they are letters
OWN_FAMILIES = "Chrom"  # how the fonts that PDFium carries call themselves; others lie on this machine
SHOWN_CHARACTERS = 20


@dataclass
class Font:
    """A font as a page uses it: what it is called, and what it can't draw of the page."""

    handle: Any
    name: str
    family: str
    embedded: bool
    known: dict[int, bool] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    characters: int = 0
    garbled: int = 0  # of them: drawn by their number in the font that is missing, so as another letter or not at all

    def fails(self) -> bool:
        """Whether letters or digits are lost, or nothing is known of any of its characters."""
        return any(one.isalnum() for one in self.lost) or 1 < self.garbled == self.characters


class Text:
    """The visible text of a page, held against what its fonts can draw."""

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

    def told(self) -> str:
        """Say what would be lost: the letters, their font, and the fields of a form that they stand in."""
        told = []
        for font in self._fonts.values():
            if font.fails():
                number, which = (len(font.lost), f" ({_some(font.lost)})") if font.lost else (font.garbled, "")
                told.append(f"{number} characters in the font {font.name!r}{which}")
        within = f" in {', '.join(self._lost_fields)}" if self._lost_fields else ""
        return f"{' and '.join(told)}{within}: the font is not embedded, and PDFium has no such letters"

    def _characters(self, page: Any) -> Iterator[tuple[int, str, Font]]:
        """Yield the visible characters whose font is not embedded, with their place."""
        raw = self._raw
        for index in range(page.count_chars()):
            if not (text := raw.FPDFText_GetTextObject(page, index)):
                continue  # a space that PDFium makes up
            address = ctypes.addressof(text.contents)
            if address not in self._objects:
                self._objects[address] = self._font(text)
            font = self._objects[address]
            if font is not None and not font.embedded:
                yield index, chr(raw.FPDFText_GetUnicode(page, index)), font

    def _font(self, text: Any) -> Font | None:
        """Return the font of visible text."""
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
        for one in self._fields:
            left, bottom, right, top = one.rect
            if left <= x.value <= right and bottom <= y.value <= top:
                return one.label
        return None

    def _remarks(self) -> Iterator[str]:
        for font in self._fonts.values():
            if font.garbled:
                told = f"has {font.garbled} characters in the font {font.name!r} that can't be told"
                yield f"{told}: it is not embedded, and others may be drawn; {REMEDY}"
            if font.lost:
                yield f"lacks {_some(font.lost)}: the font {font.name!r} is not embedded, and PDFium has no such signs"
            lower = font.name.lower()
            drawn = font.family.lower()
            if (
                not font.embedded
                and any(one in lower for one in PICTOGRAMS)
                and not any(one in drawn for one in PICTOGRAMS)
            ):
                yield f"shows letters in place of the signs of the font {font.name!r}, which is not embedded"

    def _empty_fields(self, page: Any) -> Iterator[str]:
        """Tell of fields with a value whose appearance, which the file brings, shows nothing."""
        for one in self._fields:
            if one.is_text and one.value.strip() and not page.get_text_bounded(*one.rect).strip():
                yield f"has {one.label} whose value, {short(one.value)}, is not shown"


def _name(function: Callable[..., int], font: Any) -> str:
    size = function(font, None, 0)
    held = ctypes.create_string_buffer(max(size, 1))
    function(font, held, size)
    return held.value.decode("utf-8", "replace") or "without a name"


def _some(characters: list[str]) -> str:
    found = "".join(characters)
    return repr(found if len(found) <= SHOWN_CHARACTERS else f"{found[:SHOWN_CHARACTERS]}…")
