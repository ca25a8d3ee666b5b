"""The report's phrases in English and Russian: texts/<language>.yaml, a key per phrase."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "texts"


class Texts:
    """The phrases of one language."""

    def __init__(self, language: str, phrases: Mapping[str, str]) -> None:
        """Store the phrases by their dotted keys."""
        self.language, self.phrases = language, phrases

    def __call__(self, key: str, **values: object) -> str:
        """Return a phrase with its values. `n` selects the plural form (`one | many`; Russian: `one | few | many`)."""
        phrase = self.phrases[key]
        if "n" in values and "|" in phrase:
            phrase = phrase.split("|")[self._form(int(str(values["n"])))].strip()
        return phrase.format(**values)

    def number(self, value: float, spec: str) -> str:
        """Return a number as the language writes it: 0.688, 22,995 and 95%; in Russian 0,688, 22 995 and 95 %.

        All numbers of the page go through here. `spec` is a format specification of Python.
        """
        text = format(value, spec)
        if self.language != "ru":
            return text
        return text.replace(",", "\u202f").replace(".", ",").replace("%", "\u202f%")

    def interval(self, low: str, high: str) -> str:
        """Return the ends of an interval in brackets, separated by a semicolon if numbers have decimal commas."""
        return f"[{low}{';' if self.language == 'ru' else ','} {high}]"

    @property
    def separators(self) -> str:
        """Return the decimal and thousands separators in the form of plotly's `layout.separators`."""
        return ",\u202f" if self.language == "ru" else ".,"

    def has(self, key: str) -> bool:
        """Tell whether there is such a phrase."""
        return key in self.phrases

    def name(self, metric: str) -> str:
        """Return the readable name of a measure or metric; its key if there is none."""
        return self.phrases.get(f"metric.{metric}", metric)

    def listed(self, names: list[str]) -> str:
        """Join names: a, b and c."""
        last = self.phrases["list.and"]
        return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"

    def _form(self, n: int) -> int:
        if self.language != "ru":
            return 0 if n == 1 else 1
        if n % 10 == 1 and n % 100 != 11:
            return 0
        return 1 if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else 2


@lru_cache
def load(language: str) -> Texts:
    """Read the phrases of a language."""
    read = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return Texts(language, dict(_flat(read)))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in tree.items():
        key = f"{prefix}{name}"
        pairs += _flat(value, f"{key}.") if isinstance(value, dict) else [(key, str(value))]
    return pairs
