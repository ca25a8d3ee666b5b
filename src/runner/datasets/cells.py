"""The text that a cell of a table shows. All tables follow one rule: a cell is read as it is shown, or it is refused.

A spreadsheet that stores 0.15 with the number format `0%` shows 15%, so the text is `15%`. How a date looks depends on
the program's language, a number of more than 15 digits is not complete, and an error has no value: such cells are
refused in columns that are read. A CSV file contains what the spreadsheet showed when it was saved, lost values too.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from metrics.normalisation import label as label

# A spreadsheet keeps 15 significant digits of a number (ECMA-376 leaves it to IEEE 754; Excel and LibreOffice show 15).
DIGITS = 15
GENERAL = ("", "general", "standard", "основной", "@")
# The errors that Excel shows in place of a value, in English and in Russian.
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
    (re.compile(r"nan|NaN|NaT|#?<NA>|\[object Object\]"), "a lost value that was written as text"),
    # The errors in other languages, and of other programs: #WERT!, #VALEUR!, #ERROR!, #NOM?
    (re.compile(r"#[A-ZА-ЯЁÀ-Ý][A-ZА-ЯЁÀ-Ý/0_]+[!?]|#NV|#N/D"), "an error of a spreadsheet"),
)
_MONTHS = (
    "янв|фев|мар|апр|май|мая|июн|июл|авг|сен|окт|ноя|дек|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|dez|mai|okt"
)
_MADE_OF = (
    (
        re.compile(rf"\d{{1,2}}[.-](?:{_MONTHS})|(?:{_MONTHS})[.-]\d{{2}}", re.IGNORECASE),
        "a date that a spreadsheet makes of 4.3 or 3/4",
    ),
    (re.compile(r"[1-9]\d{14}0+"), "a number of which a spreadsheet has kept 15 digits"),
    (re.compile(r"-?\d+[.,]\d{13,}[1-9]"), "a computed number with the error of its last digits"),
    (re.compile(r"30[./]12[./]1899.*|1899-12-30.*|00[./]01[./]1900"), "what a spreadsheet shows of an empty date"),
    (re.compile(r"'[=+@\d-].*", re.DOTALL), "a text with the apostrophe by which a spreadsheet keeps it as text"),
)
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell whose stored value differs from the text that it shows.

    `value` is the stored value, used for columns of figures and for columns that are not read: `0.15`, `2010-09-28`,
    `#N/A`. `shown` is the text that a user sees; None if it can't be known, and then `lost` says why.
    """

    value: str
    shown: str | None
    lost: str = ""

    def __str__(self) -> str:
        """Return the shown text, else the stored value."""
        return self.value if self.shown is None else self.shown


NO_RESULT = Cell(
    "(a formula without a stored value)",
    None,
    "a formula without a stored value: the file was not saved by a program that calculates",
)


def lost(text: str) -> str:
    """Return why a text does not contain the original value, as `#N/A`, `4,08E+19` or `nan`; empty if it may do so."""
    bare = text.strip()
    if bare.upper() in ERRORS:
        return "an error of a spreadsheet"
    return next((why for pattern, why in _LOST if pattern.fullmatch(bare)), "")


def doubtful(text: str) -> str:
    """Return what a spreadsheet may have made a text of, as `04.мар` of 4.3; empty if nothing speaks for that.

    A document may say the same, so such a text is read and told of.
    """
    bare = text.strip()
    return next((why for pattern, why in _MADE_OF if pattern.fullmatch(bare)), "")


def unwrapped(text: str) -> str:
    """Return the text within `="007"`, by which a CSV file tells a spreadsheet to keep zeros; else the text itself."""
    match = _AS_TEXT.fullmatch(text.strip())
    return match[1].replace('""', '"') if match else text


def number(value: float, code: str) -> Cell:
    """Return a number as a number format such as `0.00` or `0%` shows it. The decimal mark is a point.

    `General` shows up to 15 digits without an exponent. Formats that look different in each language (separated
    thousands, fractions, exponents) are not known, unless the number has no thousands to separate.
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
    """Return a truth value as a cell without a known text, because each language shows it in its own words."""
    why = f"{value} as a bool, which each language shows in its own words"
    return Cell(str(value), None, why)


def date(value: object) -> Cell:
    """Return a date, time or duration as a cell without a known text, which depends on the program's language."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return Cell(str(value), None, f"{value} as a {type(value).__name__}, so how it is written is not known")


def _formatted(value: Decimal, code: str) -> str | None:
    """Return a number in a custom format; None if its text depends on language, column width or calendar."""
    pieces = list(_pieces(code))
    sections: list[list[tuple[str, str]]] = [[]]
    for kind, text in pieces:
        if kind == "section":
            sections.append([])
        else:
            sections[-1].append((kind, text))
    section = sections[0]
    if value < 0 and len(sections) > 1:
        # The second section formats negative numbers and contains their sign; `0.00;[Red]0.00` shows no sign.
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
    """Return the digits of a number without its sign. `code` is the part of a format with placeholders for digits."""
    match = re.fullmatch(r"(#,##)?(#*)(0*)(?:\.(0+))?", code)
    if match is None:
        return None
    thousands, _, zeros, decimals = match.groups()
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
    """Yield the pieces of a number format (ECMA-376 Part 1, 18.8.31) and their kinds: digits, literal text, ..."""
    for match in _PIECE.finditer(code):
        kind = str(match.lastgroup)
        text = match[kind]
        if kind in ("quoted", "escaped", "currency", "sign"):
            if text:
                yield "literal", text
        elif kind != "colour":
            yield kind, text
