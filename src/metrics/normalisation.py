"""Normalises texts before they are compared. Each metric has a default, which the configuration can change."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

UnicodeForm = Literal["NFC", "NFKC", "NFD", "NFKD"]
LetterCase = Literal["keep", "lower", "fold"]

_YO = str.maketrans("ёЁ", "еЕ")
_WHITESPACE = re.compile(r"\s+")
# Category Cf of Unicode 16 except characters that are visible or change what is visible: ZWNJ and ZWJ (scripts, emoji),
# the Arabic and other signs that enclose numbers (Prepended_Concatenation_Mark), and tags (flags of regions).
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
)


def visible(text: str) -> str:
    """Return a text without invisible characters: soft hyphens, zero-width spaces, BOM, direction marks."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def label(text: str) -> str:
    """Return the name of a column, class, field or key so that names which look the same are the same.

    Letters are composed (a Mac writes й as two characters), invisible characters go, spaces of all kinds are one space.
    """
    return " ".join(unicodedata.normalize("NFC", visible(text)).split())


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Steps that make texts comparable, applied in the order of these fields.

    `invisible`: remove invisible characters (`visible`). `unicode`: the normalisation form (Unicode Standard Annex 15;
    NFKC also maps full-width forms and ligatures to plain letters). `case`: `keep`, `lower` (`str.lower`) or `fold`
    (`str.casefold`: ß = ss). `yo`: replace ё by е. `punctuation`: remove punctuation (Unicode categories P*; signs such
    as № and + stay). `collapse_whitespace`: replace each run of whitespace, line ends and no-break spaces included, by
    one space. `strip`: remove whitespace at both ends.
    """

    invisible: bool = True
    unicode: UnicodeForm = "NFC"
    case: LetterCase = "keep"
    yo: bool = False
    punctuation: bool = False
    collapse_whitespace: bool = True
    strip: bool = True

    def __post_init__(self) -> None:
        """Refuse mistakes of a configuration: an unknown word, or a text in place of true or false."""
        for name, allowed in (("unicode", get_args(UnicodeForm)), ("case", get_args(LetterCase))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"normalisation.{name} is {getattr(self, name)!r}; valid: {', '.join(allowed)}")
        for name in ("invisible", "yo", "punctuation", "collapse_whitespace", "strip"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"normalisation.{name} is {getattr(self, name)!r}; valid: true, false")

    def with_options(self, given: Normalisation | Mapping[str, Any] | None) -> Normalisation:
        """Return what a metric's `normalisation` means: options change single fields of this one; None changes none."""
        if isinstance(given, Normalisation):
            return given
        if given is None or isinstance(given, Mapping):
            return self.changed(given or {})
        raise TypeError(f"normalisation is {given!r}; give its options by name, such as {{yo: true}}")

    def changed(self, options: Mapping[str, Any]) -> Normalisation:
        """Return a copy in which the options of a configuration replace the fields of the same name."""
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise ValueError(f"unknown option normalisation.{name}{hint}; valid: {', '.join(known)}")
        return replace(self, **options)

    def __call__(self, text: str) -> str:
        """Return the normalised text."""
        # Invisible characters go first: between a letter and its combining mark they would prevent composition.
        text = unicodedata.normalize(self.unicode, visible(text) if self.invisible else text)
        if self.case != "keep":
            text = text.lower() if self.case == "lower" else text.casefold()
        if self.yo:
            text = _without_yo(text, self.unicode)
        if self.punctuation:
            text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("P"))
        if self.case != "keep" or self.punctuation:
            # Both steps can make letters and combining marks adjacent, which then compose.
            text = unicodedata.normalize(self.unicode, text)
        if self.collapse_whitespace and self.strip:
            return " ".join(text.split())
        if self.collapse_whitespace:
            return _WHITESPACE.sub(" ", text)
        return text.strip() if self.strip else text

    def __str__(self) -> str:
        """Return a short form for version strings and tables: `NFC+invisible+collapse_whitespace+strip`."""
        parts: list[str] = [self.unicode]
        if self.invisible:
            parts.append("invisible")
        if self.case != "keep":
            parts.append(self.case)
        parts += [name for name in ("yo", "punctuation", "collapse_whitespace", "strip") if getattr(self, name)]
        return "+".join(parts)


def _without_yo(text: str, form: UnicodeForm) -> str:
    """Replace ё by е in any Unicode form: in decomposed forms ё is е followed by a diaeresis."""
    if form in ("NFC", "NFKC"):
        return text.translate(_YO)
    return unicodedata.normalize(form, unicodedata.normalize("NFC", text).translate(_YO))
