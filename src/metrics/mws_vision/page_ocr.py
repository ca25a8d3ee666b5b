"""Text of whole pages (`full-page OCR ru`): the mean of BLEU, METEOR, F1 of words and similarity of characters."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
import warnings
from collections.abc import Sequence
from typing import Any

from rapidfuzz.distance import Levenshtein

from metrics.mws_vision.task import OneScore, mean

TASK = "full-page OCR ru"
_CHINESE = re.compile("[\u4e00-\u9fa5]")
_NO_WORDNET = (
    "METEOR needs WordNet, which nltk does not find here: `python -m nltk.downloader wordnet` fetches it. On a machine "
    "without internet copy nltk_data/corpora/wordnet, and name its nltk_data in the variable NLTK_DATA"
)
_NO_JIEBA = "a text with Chinese letters is cut into words by jieba, which is not installed: pip install jieba"


class PageOcr(OneScore):
    """(BLEU + METEOR + F1 of different words + 1 - edits / longer length) / 4; an empty answer is 0.

    Words are what spaces separate; where either text has Chinese letters, what jieba cuts (page_ocr_metric.py). BLEU
    and METEOR are those of the package nltk, METEOR with its Porter stemmer and English WordNet, as the benchmark asks
    them: Russian words match letter for letter, but for case.
    """

    measures = (mean("mws_page_ocr", "mean of (BLEU + METEOR + F1 of words + 1 - edits / longer length) / 4"),)

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    @property
    def version(self) -> str:  # type: ignore[override]
        """The definition, and nltk's version, whose BLEU and METEOR are taken."""
        return f"1 6632d62 nltk={importlib.metadata.version('nltk')}"

    def check(self) -> None:
        """Raise ValueError where WordNet is not there."""
        wordnet()

    def _unscorable(self, case: Any) -> str:
        if reason := super()._unscorable(case):
            return reason
        chinese = any(map(_CHINESE.search, (case.prediction, case.references[0])))
        return _NO_JIEBA if chinese and importlib.util.find_spec("jieba") is None else ""

    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        if not answer:
            return 0.0, "an empty answer"
        parts = similarities(answer, references[0], wordnet())
        return sum(parts.values()) / 4, ", ".join(f"{name} {value:.3f}" for name, value in parts.items())


def similarities(answer: str, reference: str, synonyms: Any) -> dict[str, float]:
    """Return the four similarities of two texts, 0 to 1; `synonyms` is WordNet, with nltk's method `synsets(word)`."""
    from nltk.translate import bleu, meteor

    given, wanted = _words(answer, reference)
    shared = len(set(given) & set(wanted))
    with warnings.catch_warnings():  # of texts without a common pair of words, which is no fault
        warnings.simplefilter("ignore")
        return {
            "BLEU": float(bleu([wanted], given)),
            "METEOR": float(meteor([wanted], given, wordnet=synonyms)),
            "F1": 2 * shared / (len(set(given)) + len(set(wanted))) if wanted else 0.0,
            "similarity": 1 - Levenshtein.distance(answer, reference) / max(len(answer), len(reference)),
        }


def _words(answer: str, reference: str) -> tuple[list[str], list[str]]:
    if not (_CHINESE.search(answer) or _CHINESE.search(reference)):
        return answer.split(), reference.split()
    import jieba

    jieba.setLogLevel("ERROR")  # it tells of its dictionary on stderr
    return jieba.lcut(answer), jieba.lcut(reference)


@functools.cache
def wordnet() -> Any:
    """Return WordNet as nltk reads it. Raise ValueError where it is not there."""
    from nltk.corpus import wordnet as corpus

    try:
        corpus.ensure_loaded()
    except (LookupError, OSError) as error:
        raise ValueError(_NO_WORDNET) from error
    return corpus
