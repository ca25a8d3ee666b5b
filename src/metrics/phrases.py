"""Phrases that mark refusals ("I can't help") and abstentions ("not stated in the document")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.normalisation import visible

# The model declines the task. Only whole phrases count, because many polite answers contain "извините".
REFUSALS = (
    r"\b(?:я )?не (?:могу|в состоянии|имею возможности) (?:вам )?"
    r"(?:помочь|ответить|выполнить|распознать|прочитать|прочесть|анализировать|предоставить"
    r"|(?:видеть|просматривать|открыть) (?:это |эту |ваше |вашу )?(?:изображени|картинк|фото|документ|файл|скриншот))",
    r"\bя (?:лишь|всего лишь|только|являюсь)? ?(?:текстовая |языковая )(?:языковая )?модель\b",
    r"\bу меня нет (?:доступа|возможности)\b",
    r"\bi(?:'m| am) (?:sorry|afraid),? (?:but )?(?:i )?(?:can(?:no|')t|am unable|am not able)\b",
    r"\bi (?:can(?:no|')t|am unable to|am not able to|won't) "
    r"(?:help|assist|answer|comply|read|see|view|provide|process|recogni[sz]e)\b",
    r"\bas an ai(?: language)? model\b",
)
# The model says that the document does not contain what was asked for.
ABSTENTIONS = (
    r"\b(?:не (?:указан[оаы]?|найден[оаы]?|обнаружен[оаы]?|определен[оаы]?|определяется|содержится|видно|приведен[оаы]?"
    r"|представлен[оаы]?|заполнен[оаы]?|читается|удалось (?:найти|определить|прочитать)))\b",
    r"\b(?:отсутству(?:ет|ют)|нет (?:данных|информации|ответа|сведений|такого поля))\b",
    r"\bневозможно (?:определить|ответить|прочитать|прочесть)\b",
    r"\b(?:un|not )answerable\b",
    r"(?:\bnot|n't) (?:given|stated|provided|mentioned|specified|found|shown|available|visible|present)\b",
    r"\b(?:no (?:information|data|answer|such field)|cannot be determined)\b",
    r"^\W*(?:нет|none|null|n/?a|no|нд|н/д|unknown|неизвестно)?\W*$",
)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Compiled patterns; `digest` identifies them in version strings."""

    pattern: re.Pattern[str]
    digest: str

    def find(self, text: str) -> str:
        """Return the first matching phrase of a text, or an empty text. Apostrophes and ё are normalised first."""
        match = self.pattern.search(visible(text).replace("’", "'").replace("ё", "е").replace("Ё", "Е"))
        return (match.group().strip() or "empty") if match else ""


def compiled(option: str, further: Sequence[str], built_in: Sequence[str]) -> Phrases:
    """Compile the built-in patterns and those of a configuration. Raise ValueError with the pattern that is invalid."""
    if isinstance(further, str) or not all(isinstance(pattern, str) for pattern in further):
        raise TypeError(f"{option} is {further!r}; give a list of regular expressions")
    patterns = [*built_in, *further]
    for pattern in further:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{option}: {pattern!r} is no regular expression: {error}") from error
    joined = "|".join(f"(?:{pattern})" for pattern in patterns)
    digest = hashlib.blake2s(joined.encode(), digest_size=4).hexdigest()
    return Phrases(re.compile(joined, re.IGNORECASE), digest)
