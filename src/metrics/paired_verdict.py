"""The verdict of a paired test in one word: better, worse, or not distinguishable, and at which confidence.

    Qwen2-VL-2B against Qwen2-VL-7B: worse by judge_ratio (0.596 against 0.868, difference -0.271 [-0.469, -0.110]);
    paired randomisation, exact, and skew-corrected t test on 10 documents: p 0.0042, 0.017 after Holm over the 7 ...

A family is a set of comparisons that are read together: by default all candidates against one baseline by one measure.
The family-wise error rate is kept by Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metrics.bounded import fewest_alike
from metrics.documents_needed import POWER, documents_needed, fewest_for
from metrics.paired import NonInferiority, Paired
from metrics.significance import holm

# "higher" and "lower" are for measures without a better direction (`better="neither"`).
Word = Literal["better", "worse", "higher", "lower", "not distinguishable"]
_MCNEMAR = "McNemar, exact"


@dataclass(frozen=True, slots=True)
class PairedVerdict:
    """The outcome of one comparison within its family.

    `p` is the p-value of `test`, `p_adjusted` the same after Holm's correction. `documents_needed` is how many
    documents in all would detect the observed difference with a power of 0.8. It is None where the difference is 0, or
    where that many documents were there and did not detect it. `reason` says why a difference was not confirmed.
    """

    paired: Paired
    word: Word
    test: str
    p: float
    p_adjusted: float
    family: str
    family_size: int
    confidence: float
    documents_needed: int | None
    reason: str = ""

    def __str__(self) -> str:
        """Return the verdict as a sentence with the figures, the test and the family behind it."""
        paired = self.paired
        interval = "" if paired.ci_low is None else f" [{paired.ci_low:+.3f}, {paired.ci_high:+.3f}]"
        text = (
            f"{paired.candidate} against {paired.baseline}: {self.word} by {paired.measure.name} "
            f"({paired.value_candidate:.3f} against {paired.value_baseline:.3f}, "
            f"difference {paired.difference:+.3f}{interval}, {paired.measure.better} is better); "
            f"{self.test} on {paired.documents} documents ({paired.samples} samples): p {self.p:.2g}, "
            f"{self.p_adjusted:.2g} after Holm over the {self.family_size} comparisons of "
            f"{self.family!r}, {self.confidence:.0%} confidence"
        )
        if self.test != _MCNEMAR:
            kind = "exact" if paired.wilcoxon.exact else "normal approximation"
            text += f" (beside it Wilcoxon's signed-rank test, {kind}: p {paired.wilcoxon.p:.2g})"
        if self.reason:
            text += f"; {self.reason}"
        if self.word == "not distinguishable" and self.documents_needed:
            text += f"; about {self.documents_needed} documents would settle a difference of this size"
        if (test := paired.non_inferiority) is not None:
            text += f"; {_non_inferior(paired, test)}"
        return text


def verdicts(
    comparisons: Sequence[Paired], *, family: str = "", confidence: float | None = None
) -> list[PairedVerdict]:
    """Return a verdict for each comparison of one family. Each pair of runs may be in it once per measure.

    The test compares the overall figures (metrics.corpus_test). Where scores are only right or wrong and each document
    has one answer, it is McNemar's exact test. A candidate is better or worse where the p-value after Holm's correction
    is below 1 - confidence.
    """
    if not comparisons:
        return []
    level = comparisons[0].confidence if confidence is None else confidence
    if not 0 < level < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {level}")
    keys = [f"{paired.candidate}\0{paired.baseline}\0{paired.measure.name}" for paired in comparisons]
    if len(set(keys)) < len(keys):
        raise ValueError("a family holds each comparison once; some candidates have the same name")
    tested = [_test(paired) for paired in comparisons]
    adjusted = holm(dict(zip(keys, (p for _, p in tested), strict=True)))
    name = family or _family(comparisons)
    return [
        _verdict(paired, test, p, adjusted[key], (name, len(comparisons), level))
        for paired, (test, p), key in zip(comparisons, tested, keys, strict=True)
    ]


def against_the_best(confidence: float, candidates: int) -> float:
    """Return the confidence for tests of k candidates against the best that keeps the family-wise error rate.

    The best candidate is selected on the same data, so any of the k (k - 1) / 2 pairs could have been tested. Holm's
    correction over k - 1 comparisons is therefore not enough: among 15 equal candidates it calls at least one worse in
    18% of all data sets. With alpha * 2 / k, the first step of Holm equals Bonferroni over all pairs.
    """
    return 1 - (1 - confidence) * 2 / max(candidates, 2)


def _family(comparisons: Sequence[Paired]) -> str:
    baselines = sorted({paired.baseline for paired in comparisons})
    measures = sorted({paired.measure.name for paired in comparisons})
    return f"candidates against {', '.join(baselines)} by {', '.join(measures)}"


def _test(paired: Paired) -> tuple[str, float]:
    """Return the name of the test that fits the scores, and its p-value."""
    if paired.mcnemar is not None and paired.one_answer_per_document:
        return _MCNEMAR, paired.mcnemar.p
    return ("no test", 1.0) if paired.test is None else (paired.test.method, paired.test.p)


def _verdict(paired: Paired, test: str, p: float, adjusted: float, family: tuple[str, int, float]) -> PairedVerdict:
    name, size, level = family
    alpha = 1 - level
    word: Word = "not distinguishable"
    reason, fewest = "", 0
    # Test and interval agree but for the last digit of what is drawn at random: there the more cautious one counts.
    if adjusted < alpha and paired.difference and (paired.ci_low is None or not paired.holds_zero):
        word = _word(paired)
    else:
        reason, fewest = _undecided(paired, test, alpha / size)
    needed = documents_needed(paired.difference, paired.spread, alpha=alpha / size, power=POWER)
    if needed is not None:
        needed = max(needed, fewest)
        if word == "not distinguishable" and needed <= paired.documents:
            needed = None
    return PairedVerdict(paired, word, test, p, adjusted, name, size, level, needed, reason)


def _word(paired: Paired) -> Word:
    if paired.measure.better == "neither":
        return "higher" if paired.difference > 0 else "lower"
    return "better" if paired.gain > 0 else "worse"


def _undecided(paired: Paired, test: str, alpha: float) -> tuple[str, int]:
    """Return why an observed difference was not confirmed, and how many documents that takes at least (0: unknown)."""
    fewest = fewest_for(alpha)
    if paired.documents < fewest:
        return f"{paired.documents} documents are too few to show any difference: it takes at least {fewest}", fewest
    test_result = paired.test
    if test_result is None and paired.difference:
        return "no test is possible: without one of the documents there is no figure", 0
    alone = "" if paired.holds_zero else "its interval, which is not corrected for the family, excludes 0"
    if test == _MCNEMAR or test_result is None or not paired.difference:
        return alone, 0
    if test_result.unseen is not None and test_result.p == test_result.unseen:
        alike = "the documents differ so evenly that they say nothing about rare documents that were not seen"
        if test_result.reach is None:
            return f"{alike}, and the measure has no range that would bound those", 0
        return alike, fewest_alike(paired.difference, test_result.reach, alpha / 2)
    if not alone and paired.wilcoxon.p < alpha:
        way = "higher" if paired.wilcoxon.rank_biserial > 0 else "lower"
        return f"most documents are {way}, but the overall figure does not show it: look at the documents", 0
    return alone, 0


def _non_inferior(paired: Paired, test: NonInferiority) -> str:
    """Return whether non-inferiority was shown, and what prevents it if not."""
    text = f"non-inferior within {test.margin:g}: "
    if test.bound is None:
        return text + f"can't be shown: {paired.measure.name} has no range, a document is beyond it, or lengths differ"
    bound = f"(difference at worst {test.bound:+.3f}, one-sided {test.confidence:.0%})"
    if test.holds:
        return f"{text}yes {bound}"
    if test.fewest and paired.documents < test.fewest:
        few = f"{paired.documents} documents are too few to show it: at least {test.fewest} would be needed"
        return f"{text}not shown {bound}; {few}"
    return f"{text}not shown {bound}"
