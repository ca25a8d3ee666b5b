"""Statistics of an answer that need no reference: length, speed, alphabets, refusals, loops. Tracked under `text/`.

    "Покупка на Ozon не удалась", 0.5 s  ->  length_mean 26, chars_per_s 52, latin_share 4/22, en_chars_pct 100/26

Most of them have no better direction: whether more or less is better depends on the task.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from metrics.api import Case, Measure, Score
from metrics.phrases import REFUSALS, compiled
from metrics.repetition import loop
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
# Unicode calls these alphabetic, but readers see signs: 1ª, 2º, 5 µm.
_SIGNS = frozenset("ªºµ")
_PUBLISHED = "the original report on screenshots (its figure counts words, not characters)"


@lru_cache(maxsize=4096)
def script(letter: str) -> str:
    """Return the script of a character: `latin`, `cyrillic` or `other`; an empty text if it is no letter."""
    if not letter.isalpha() or letter in _SIGNS:
        return ""
    words = unicodedata.name(letter, "").split()
    return "latin" if "LATIN" in words else "cyrillic" if "CYRILLIC" in words else "other"


def english_words(text: str) -> list[str]:
    """Return the distinct words of ASCII letters, split at whitespace and sorted: the rule of the original report.

    As in that report, a word with punctuation attached ("Ozon.") is not counted.
    """
    return sorted({word for word in text.split() if word.isascii() and word.isalpha()})


def language_switches(text: str, run: int) -> int:
    """Count changes between Latin and Cyrillic passages; a passage has at least `run` words of one script.

    Single foreign words (Ozon, PIN) are shorter than a passage, so they do not count as a change of language.
    """
    passages: list[str] = []
    current, length = "", 0
    for match in _WORD.finditer(text):
        word_script = script(match.group()[0])
        current, length = (current, length + 1) if word_script == current else (word_script, 1)
        if length == run and current != "other" and passages[-1:] != [current]:
            passages.append(current)
    return max(0, len(passages) - 1)


def _described(
    name: str, aggregate: str, formula: str, *, better: str = "neither", high: float | None = None, source: str = ""
) -> Measure:
    """Return a measure of the group `text`."""
    return Measure(name, better, aggregate, 0, high, formula, source or "this project", "text")  # type: ignore[arg-type]


class TextStatistics:
    """Statistics of the raw answer. A failed generation is unscored; an empty answer has length 0 and no letters.

    `refusals` are regular expressions (case-insensitive) in addition to the built-in Russian and English ones.
    `min_repeats` and `min_characters` define a repetition loop (metrics.repetition). `switch_run` is the number of
    words that make a passage.
    """

    env = "current"
    measures = (
        _described("length_mean", "mean", "mean of characters (code points) per answer"),
        _described("chars_per_s_overall", "corpus", "sum of characters / sum of seconds", better="higher"),
        _described("chars_per_s", "mean", "mean of (characters / seconds)", better="higher"),
        _described("foreign_letters", "mean", "mean of letters neither Cyrillic nor Latin per answer", better="lower"),
        _described("latin_share", "corpus", "sum of Latin letters / sum of letters", high=1),
        _described("latin_share_of_chars", "corpus", "sum of Latin letters / sum of characters", high=1),
        _described(
            "en_chars_pct",
            "corpus",
            "100 x sum of different ASCII-letter words per answer / sum of characters",
            high=100,
            source=_PUBLISHED,
        ),
        _described("english_words", "mean", "mean of different ASCII-letter words per answer"),
        _described("refusals", "mean", "share of answers that decline to answer", better="lower", high=1),
        _described("truncated", "mean", "share of answers cut off at max_tokens", better="lower", high=1),
        _described("repetitions", "mean", "share of answers with a repetition loop", better="lower", high=1),
        _described("language_switches", "mean", "mean of changes between Latin and Cyrillic passages per answer"),
    )

    def __init__(
        self,
        refusals: Sequence[str] = (),
        min_repeats: int = 4,
        min_characters: int = 40,
        switch_run: int = 3,
    ) -> None:
        for name, value, least in (
            ("min_repeats", min_repeats, 2),
            ("min_characters", min_characters, 8),
            ("switch_run", switch_run, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; valid: a whole number from {least}")
        self.min_repeats, self.min_characters, self.switch_run = min_repeats, min_characters, switch_run
        self._refusals = compiled("refusals", refusals, REFUSALS)

    @property
    def version(self) -> str:
        """Definition, settings and refusal patterns: what decides the numbers."""
        return (
            f"2 repeats={self.min_repeats} characters={self.min_characters} run={self.switch_run}"
            f" refusals={self._refusals.digest}"
        )

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            if case.prediction is None:
                reason = no_answer(case)
                yield from (
                    Score(case.sample_id, case.repeat, measure.name, None, reason=reason) for measure in self.measures
                )
                continue
            for name, numerator, denominator, detail in self._counted(case.prediction, case.facts):
                if denominator:
                    stats = (float(numerator), float(denominator))
                    value = numerator / denominator * (100 if name == "en_chars_pct" else 1)
                    yield Score(case.sample_id, case.repeat, name, value, stats, detail=detail)
                else:
                    yield Score(case.sample_id, case.repeat, name, None, reason=detail)

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals) * (100 if name == "en_chars_pct" else 1)

    def _counted(self, text: str, facts: Mapping[str, Any]) -> Iterable[tuple[str, float, float, str]]:
        """Yield (measure, numerator, denominator, detail). A denominator of 0 means unscored; `detail` says why."""
        length, seconds = len(text), float(facts.get("latency_s") or 0)
        yield "length_mean", length, 1, ""
        yield "chars_per_s_overall", length, seconds, "" if seconds else "no latency"
        yield "chars_per_s", length / seconds if seconds else 0, bool(seconds), "" if seconds else "no latency"
        scripts = [script(letter) for letter in text]
        latin, other = scripts.count("latin"), scripts.count("other")
        letters = latin + other + scripts.count("cyrillic")
        foreign = sorted(
            {letter for letter, letter_script in zip(text, scripts, strict=True) if letter_script == "other"}
        )
        yield "foreign_letters", other, 1, "".join(foreign)[:200]
        yield "latin_share", latin, letters, "" if letters else "no letters"
        yield "latin_share_of_chars", latin, length, "" if length else "no characters"
        english = english_words(text)
        yield "en_chars_pct", len(english), length, ", ".join(english) if length else "no characters"
        yield "english_words", len(english), 1, ", ".join(english)
        # A refusal that the endpoint marked counts, whatever the text says.
        refusal = self._refusals.find(text) or (facts.get("refused") and "marked as a refusal by the endpoint") or ""
        yield "refusals", bool(refusal), 1, refusal
        finish = facts.get("finish_reason")
        yield "truncated", finish == "length", 1 if finish else 0, "" if finish else "no finish reason"
        repeated = loop(text, self.min_repeats, self.min_characters)
        yield "repetitions", bool(repeated), 1, repeated
        yield "language_switches", language_switches(text, self.switch_run), 1, ""


def no_answer(case: Case) -> str:
    """Return why a failed generation can't be scored, in the wording that all metrics share."""
    return f"no answer: {case.facts.get('failure') or 'the generation failed'}"
