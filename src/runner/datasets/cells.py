"""What a cell of a table shows. One rule for every table: a cell is read as it is shown, or it is refused by name.

A spreadsheet stores 0.15 and the number format `0%`, and shows 15%: the text is `15%`. A date shows what the program's
language makes of it, a number of more than 15 digits has lost the rest, an error has no value: those are refused in
columns that are read. A CSV file holds what a spreadsheet showed when it was saved, lost values included.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# A spreadsheet keeps 15 significant digits of a number (ECMA-376 leaves it to IEEE 754; Excel and LibreOffice show 15).
DIGITS = 15
GENERAL = ("", "general", "standard", "основной", "@")
# What Excel shows in place of a value, in English and in Russian.
ERRORS = frozenset(
    (
        "#N/A",
        "#REF!",
        "#NAME?",
        "#DIV/0!",
        "#VALUE!",
        "#NULL!",
        "#NUM!",
        "#SPILL!",
        "#CALC!",
        "#FIELD!",
        "#BLOCKED!",
        "#BUSY!",
        "#CONNECT!",
        "#UNKNOWN!",
        "#GETTING_DATA",
        "#Н/Д",
        "#ССЫЛКА!",
        "#ИМЯ?",
        "#ДЕЛ/0!",
        "#ЗНАЧ!",
        "#ПУСТО!",
        "#ЧИСЛО!",
        "#ПЕРЕНОС!",
        "#ВЫЧИСЛ!",
        "#ПОЛЕ!",
        "#ОЖИДАНИЕ_ДАННЫХ",
        "#ЗАБЛОКИРОВАНО!",
        "#ЗАНЯТО!",
    )
)
_LOST = (
    (re.compile(r"[+-]?\d(?:[.,]\d+)?[eE][+-]\d{2,3}"), "a number that a spreadsheet has shortened"),
    (re.compile(r"#{2,}"), "what a spreadsheet shows where a column is too narrow"),
    (re.compile(r"(?:Err|Ошибка|Ош\.?):\s?\d{3}"), "an error of a spreadsheet"),
    (re.compile(r"nan|NaN|NaT|#?<NA>"), "a lost value that was written as text"),
)
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell whose text is not all that is stored.

    `value` is what is stored, for columns of figures and those that nothing reads: `0.15`, `2010-09-28`, `#N/A`.
    `shown` is what is seen, None where that can't be known, which `lost` then explains.
    """

    value: str
    shown: str | None
    lost: str = ""

    def __str__(self) -> str:
        """Return what is shown, else what is stored."""
        return self.value if self.shown is None else self.shown


NO_RESULT = Cell(
    "(a formula without a stored value)",
    None,
    "a formula without a stored value: the file was not saved by a program that calculates",
)


def lost(text: str) -> str:
    """Say why a text is what is left of a lost value, such as `#N/A`, `4,08E+19` or `nan`; empty: it is none."""
    bare = text.strip()
    if bare.upper() in ERRORS:
        return "an error of a spreadsheet"
    return next((why for pattern, why in _LOST if pattern.fullmatch(bare)), "")


def unwrapped(text: str) -> str:
    """Return the text of `="007"`, which is how CSV tells a spreadsheet to keep the zeros; any other text as it is."""
    found = _AS_TEXT.fullmatch(text.strip())
    return found[1].replace('""', '"') if found else text


def number(value: float, code: str) -> Cell:
    """Return a number as it is shown under a number format, such as `0.00` or `0%`; the decimal mark is a point.

    `General` gives its digits, 15 at most, without an exponent. What a format shows in another way in each language
    (separated thousands, fractions, exponents) is not known, except where there are no thousands to separate.
    """
    stored = str(int(value)) if value == int(value) else repr(float(value))
    if abs(value) >= 10**DIGITS:
        return Cell(stored, None, f"a number of more than {DIGITS} digits, which a spreadsheet cuts")
    exact = Decimal(f"{value:.{DIGITS}g}")
    if code.strip().lower() in GENERAL:
        if value and abs(value) < 1e-9:
            return Cell(stored, None, "a number that is shown with an exponent")
        plain = format(exact.normalize(), "f")
        return Cell(stored, "0" if plain in ("-0", "0") else plain)
    shown = _formatted(exact, code)
    why = "" if shown is not None else f"a number with the format {code!r}, which is shown in another way elsewhere"
    return Cell(stored, shown, why)


def truth(value: bool) -> Cell:
    """Return a truth value: each language shows it in words of its own."""
    why = f"{value} as a bool, which each language shows in its own words"
    return Cell(str(value), None, why)


def date(value: object) -> Cell:
    """Return a date, a time or a duration: how it is shown depends on the program's language."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return Cell(str(value), None, f"{value} as a {type(value).__name__}, so how it is written is not known")


def _formatted(value: Decimal, code: str) -> str | None:
    """Return a number under a format of its own; None where that depends on language, width or calendar."""
    pieces = list(_pieces(code))
    sections: list[list[tuple[str, str]]] = [[]]
    for kind, text in pieces:
        if kind == "section":
            sections.append([])
        else:
            sections[-1].append((kind, text))
    section = sections[0]
    if value < 0 and len(sections) > 1:
        # The second section is of negative numbers, and brings their sign; `0.00;[Red]0.00` shows them without one.
        if sections[1] != [("literal", "-"), *section]:
            return None
    elif value == 0 and len(sections) > 2 and sections[2] != section:
        return None
    kinds = [kind for kind, _ in section]
    if kinds.count("digits") != 1 or set(kinds) - {"digits", "literal", "percent"}:
        return None
    scaled = value * 100 ** kinds.count("percent")
    digits = _digits(scaled, section[kinds.index("digits")][1])
    if digits is None:
        return None
    shown = "".join(digits if kind == "digits" else text for kind, text in section)
    return f"-{shown}" if scaled < 0 and digits.strip("0.") else shown


def _digits(value: Decimal, code: str) -> str | None:
    """Return the digits of a number, without its sign, under the part of a format that holds places for them."""
    found = re.fullmatch(r"(#,##)?(#*)(0*)(?:\.(0+))?", code)
    if found is None:
        return None
    thousands, _, zeros, decimals = found.groups()
    rounded = abs(value).quantize(Decimal(1).scaleb(-len(decimals or "")), ROUND_HALF_UP)
    if thousands and rounded >= 1000:
        return None
    whole, _, rest = format(rounded, "f").partition(".")
    whole = whole.lstrip("0").rjust(len(zeros), "0")
    return f"{whole}.{rest}" if rest else whole


_PIECE = re.compile(
    r"""(?P<section>;)|(?P<percent>%)|(?P<digits>[#0?][#0?,.]*)|"(?P<quoted>[^"]*)"|\\(?P<escaped>.)"""
    r"""|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]|(?P<colour>\[[^\]\d]*\])"""
    r"""|(?P<sign>[-+/():!^&'~{}<>=$ \u00a0\u202f]|[^\x00-\x7f])"""
    r"""|(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def _pieces(code: str) -> Iterator[tuple[str, str]]:
    """Take a number format apart (ECMA-376 Part 1, 18.8.31): places for digits, literal text, and what is neither."""
    for found in _PIECE.finditer(code):
        kind = str(found.lastgroup)
        text = found[kind]
        if kind in ("quoted", "escaped", "currency", "sign"):
            if text:
                yield "literal", text
        elif kind != "colour":
            yield kind, text
