"""Reads numbers as tables write them: `15.74`, and `15,74` where the decimal mark is a comma."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_SPACED = re.compile(r"[+-]?\d{1,3}(?:[ \u00a0\u202f']\d{3})+(?:[.,]\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
# 1,234 is 1.234 to a Russian reader and 1234 to an English reader; 0,234 and 1,23 are not ambiguous.
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_ENGLISH, _RUSSIAN = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+"), re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+")


def has_decimal_comma(texts: Iterable[str]) -> bool:
    """Tell whether some cell can only be read with a decimal comma. Then the whole column is read that way."""
    return any(_COMMA.fullmatch(bare) and not _EITHER.fullmatch(bare) for bare in map(_bare, texts))


def figure(text: str, *, decimal_comma: bool = False) -> float:
    """Return a finite number. Raise ValueError with the reason for anything else.

    `decimal_comma` says that the column has decimal commas, so `1,234` is 1.234. Without it `1,234` is ambiguous and
    refused.
    """
    bare = _bare(text)
    if _EITHER.fullmatch(bare) and not decimal_comma:
        raise ValueError(f"{text.strip()!r} may be {bare.replace(',', '.')} or {bare.replace(',', '')}")
    if _ENGLISH.fullmatch(bare):
        bare = bare.replace(",", "")
    elif _RUSSIAN.fullmatch(bare):
        bare = bare.replace(".", "").replace(",", ".")
    elif _COMMA.fullmatch(bare):
        bare = bare.replace(",", ".")
    try:
        number = float(bare) if "_" not in bare else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text.strip()[:40]!r} is no number")
    return number


def _bare(text: str) -> str:
    """Return a text without surrounding spaces and without the spaces between its thousands."""
    bare = text.strip().replace("\u2212", "-")
    return re.sub(r"[ \u00a0\u202f']", "", bare) if _SPACED.fullmatch(bare) else bare
