"""Reads dates, amounts, numbers and names, so that different spellings of the same value compare as equal.

    date      28 сентября 2010 г. = 28.09.2010 = 2010-09-28        -> 2010-09-28
    money     1 234,50 руб. = 1234.5 ₽; currencies count           -> 1234.50 RUB, 0,125 -> 0.125
    amount    1 234,50 руб. = 1234.5; currencies don't count       -> 1234.50
    number    45 08 № 123-456 = 4508123456; Latin A = Cyrillic А   -> 4508123456
    name      ИВАНОВА-ПЕТРОВА Алёна = Иванова - Петрова Алена      -> иванова-петрова алена

The configuration says which field is of which kind. The whole text must be the value; a text that cannot be read as
its kind is compared as plain text.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from metrics.normalisation import label, visible

_MONTHS = (
    ("янв", "jan"), ("фев", "feb"), ("мар", "mar"), ("апр", "apr"), ("ма[йя]", "may"), ("июн", "jun"),
    ("июл", "jul"), ("авг", "aug"), ("сен", "sep"), ("окт", "oct"), ("ноя", "nov"), ("дек", "dec"),
)  # fmt: skip
_MONTH = r"(?P<month>[а-яa-z]{3,9})\.?"
_END = r"\s*(?:г(?:ода|од|\.)?)?\.?$"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<day>\d{{1,2}})\s*[./\-]\s*(?P<number>\d{{1,2}})\s*[./\-]\s*(?P<year>\d{{4}}|\d{{2}}){_END}",
        rf"^(?P<year>\d{{4}})\s*[./\-]\s*(?P<number>\d{{1,2}})\s*[./\-]\s*(?P<day>\d{{1,2}})(?:t00:00:00)?{_END}",
        rf"^(?P<day>\d{{1,2}})(?:-?го|st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\s*,?\s*(?P<year>\d{{4}}){_END}",
        rf"^{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s*(?P<year>\d{{4}})$",
    )
)
_CURRENCIES = {
    "RUB": ("₽", "руб", "рубль", "рубля", "рублей", "р", "rub", "rur"),
    "USD": ("$", "usd", "доллар", "доллара", "долларов", "долл"),
    "EUR": ("€", "eur", "евро"),
    "CNY": ("¥", "cny", "юань", "юаня", "юаней"),
    "KZT": ("₸", "kzt", "тенге"),
    "BYN": ("byn", "br"),
    "GBP": ("£", "gbp"),
}
_CURRENCY_OF = {word: code for code, words in _CURRENCIES.items() for word in words}
_KOPECKS = re.compile(
    r"^(?P<sign>[+\-]?)\s*(?P<whole>[\d\s.,']+?)\s*(?:руб(?:\.|л[а-я]+)?|р\.?|₽)\s*(?P<part>\d{1,2})\s*коп[а-я]*\.?$"
)
_MONEY = re.compile(
    r"^(?P<sign>[+\-]?)\s*(?P<before>[^\d\s.,+\-]*)\s*(?P<inner>[+\-]?)\s*(?P<value>\d[\d\s.,']*?)\s*(?P<last>-?)"
    r"\s*(?P<after>[^\d\s,'\-]*)$"
)
_ACCOUNTANTS = re.compile(r"^\((?P<amount>[^()]*)\)(?P<after>[^()]*)$")  # (1 234,50) is below zero
_SIGNS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63", "-") | dict.fromkeys("’ʼ‘`", "'"))
_GROUPS = r"[1-9]\d{{0,2}}(?:{sign}\d{{3}})+"  # a group never begins with 0
# Latin letters that look like Cyrillic ones: the series of a document is written with either.
_LOOK_ALIKE = str.maketrans("ABCEHKMOPTXY", "АВСЕНКМОРТХУ")
# Two-digit years are 1969 to 2068, as in POSIX.
_PIVOT = 69


def read_date(text: str) -> str:
    """Return a date as ISO 8601 (day before month, as in Russia), or the text if it is not a date."""
    plain = _plain(text).strip('"«»„“” ')
    plain = re.sub(r"[\"«»„“”]", " ", plain).strip()
    for pattern in _DATES:
        match = pattern.match(" ".join(plain.split()))
        if match is None:
            continue
        parts = match.groupdict()
        month = int(parts["number"]) if parts.get("number") else _month(parts["month"])
        year = int(parts["year"])
        if len(parts["year"]) == 2:
            year += 1900 if year >= _PIVOT else 2000
        try:
            return date(year, month, int(parts["day"])).isoformat()
        except ValueError:
            continue  # the 31st of February: no date in this order
    return text


def read_money(text: str) -> str:
    """Return an amount with at least two decimals and its currency's code if stated; the text if it is no amount."""
    amount = _money(text)
    return f"{amount[0]} {amount[1]}".strip() if amount else text


def read_amount(text: str) -> str:
    """Return an amount with at least two decimals and without its currency; the text if it is no amount."""
    amount = _money(text)
    return amount[0] if amount else text


def read_number(text: str) -> str:
    """Return a document's number: only letters and digits, in upper case, with look-alike letters as Cyrillic ones.

    A leading №, N or "номер" is removed. A text without digits is not a number and is returned as it is.
    """
    composed = unicodedata.normalize("NFKC", text.replace("№", " ")).upper()
    composed = re.sub(r"^\s*(?:НОМЕР|N(?:O\b)?)(?=[\s.:\d])", " ", composed)
    number = "".join(letter for letter in composed if letter.isalnum()).translate(_LOOK_ALIKE)
    return number if any(letter.isdigit() for letter in number) else text


def read_name(text: str) -> str:
    """Return a name in lower case, with е for ё, without punctuation and spaces around hyphens; word order counts."""
    plain = re.sub(r"\s*[-‐‑–—]\s*", "-", _plain(text))
    plain = "".join(" " if letter != "-" and unicodedata.category(letter)[0] == "P" else letter for letter in plain)
    return " ".join(plain.split()) or text


KINDS: Mapping[str, Callable[[str], str]] = {
    "date": read_date,
    "money": read_money,
    "amount": read_amount,
    "number": read_number,
    "name": read_name,
    "text": str,
}


@dataclass(frozen=True, slots=True)
class FieldKinds:
    """The kind of each field: `{Дата рождения: date, invoice/Сумма: money, receipt/*: amount}`.

    `doc_class/field` takes precedence over `field`, which takes precedence over `doc_class/*`.
    """

    kinds: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, option: Mapping[str, Any] | None) -> FieldKinds:
        """Check the option of a configuration."""
        if option is not None and not isinstance(option, Mapping):
            raise TypeError(f"fields is {option!r}; give field names with their kinds, such as {{Дата: date}}")
        for name, kind in (option or {}).items():
            if kind not in KINDS:
                raise ValueError(f"fields.{name} is {kind!r}; valid: {', '.join(KINDS)}")
        return cls(tuple(sorted((label(str(name)), str(kind)) for name, kind in (option or {}).items())))

    def kind(self, doc_class: str, *names: str) -> str | None:
        """Return the kind of a field, which may have several names, the more exact first; None where none is given."""
        kinds = dict(self.kinds)
        wanted = [text for name in names for text in (f"{doc_class}/{name}", name)]
        return next((kinds[name] for name in (*wanted, f"{doc_class}/*") if name in kinds), None)

    def reader(self, doc_class: str, field: str) -> Callable[[str], str] | None:
        """Return the function that reads the values of a field, or None for plain text."""
        kind = self.kind(doc_class, field) if self.kinds else None
        return None if kind in (None, "text") else functools.partial(read_as, kind)

    def __str__(self) -> str:
        """Return the kinds as a part of version strings."""
        return ",".join(f"{name}={kind}" for name, kind in self.kinds)


def read_as(kind: str, text: str) -> str:
    """Return a text in the one form of its kind (`KINDS`), without invisible characters."""
    return KINDS[kind](visible(text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("ё", "е").strip()


def _month(word: str) -> int:
    """Return the number of a month by the beginning of its name; 0, which makes no valid date, if it is no month."""
    return next((at for at, names in enumerate(_MONTHS, 1) if any(re.match(name, word) for name in names)), 0)


def _money(text: str) -> tuple[str, str] | None:
    """Return an amount and its currency's code (empty if not stated); None if the text is no amount."""
    plain = _plain(text).translate(_SIGNS)
    if in_brackets := _ACCOUNTANTS.match(plain):
        plain = f"-{in_brackets['amount'].strip()}{in_brackets['after']}"
    if match := _KOPECKS.match(plain):
        value = _decimal(match["whole"])
        if value is None:
            return None
        value += Decimal(match["part"]) / 100
        return written_amount(-value if match["sign"] == "-" else value), "RUB"
    match = _MONEY.match(plain)
    if match is None:
        return None
    signs = [sign for sign in (match["sign"], match["inner"], match["last"]) if sign]
    value = _decimal(match["value"])
    words = [word for word in (match["before"].rstrip("."), match["after"].rstrip(".")) if word]
    if value is None or len(signs) > 1 or len(words) > 1 or any(word not in _CURRENCY_OF for word in words):
        return None
    return written_amount(-value if signs == ["-"] else value), _CURRENCY_OF[words[0]] if words else ""


def written_amount(value: Decimal) -> str:
    """Return an amount as `read_amount` writes it: with at least two decimals, without rounding.

    Three decimals that would be read as a group of thousands (12.345) get a fourth, so that reading is idempotent.
    """
    whole, _, part = f"{value:f}".partition(".")
    written = f"{whole}.{part.rstrip('0').ljust(2, '0')}" if value else "0.00"
    return f"{written}0" if re.fullmatch(rf"-?{_GROUPS.format(sign='[.]')}", written) else written


def _decimal(text: str) -> Decimal | None:
    """Read a number with spaces, apostrophes, dots or commas. A dot or a comma may be the decimal sign.

    Spaces and apostrophes separate groups of three digits: 0 125 is no number, which may be 0,125.

    Of two different signs the last is the decimal sign. A single dot or comma before three digits separates thousands
    where a group may end (1,234 and 1.234 are 1234), else it is the decimal sign (0,125, 1234,567 and 1 234,567).
    """
    text = re.sub(r"\s*([.,])\s*", r"\1", text.strip()).rstrip(".,")
    before = re.split(r"[.,]", text)[0]
    squeezed = re.sub(r"[\s']", "", text)
    spaced = (
        re.search(r"[\s']", before) is not None
    )  # spaces separate thousands, so a dot or comma must be the decimal sign
    if spaced and re.fullmatch(_GROUPS.format(sign=r"[\s']"), before) is None:
        return None
    if re.search(r"[\s']", text[len(before) :]):
        return None  # 1.234 567: spaces after the decimal sign make no number
    marks = [mark for mark in squeezed if mark in ".,"]
    if not marks:
        return Decimal(squeezed) if squeezed.isdecimal() else None
    last, first = marks[-1], marks[0]
    whole, _, part = squeezed.rpartition(last)
    if len(marks) == 1:
        grouped = not spaced and re.fullmatch(_GROUPS.format(sign=re.escape(last)), squeezed) is not None
        return Decimal(squeezed.replace(last, "")) if grouped else Decimal(f"{whole}.{part}")
    if spaced or (first != last and marks.count(last) > 1):
        return None
    if first == last and re.fullmatch(_GROUPS.format(sign=re.escape(last)), squeezed):
        return Decimal(squeezed.replace(last, ""))
    if re.fullmatch(_GROUPS.format(sign=re.escape(first)), whole) and (first != last or len(part) < 3):
        return Decimal(f"{whole.replace(first, '')}.{part}")
    return None
