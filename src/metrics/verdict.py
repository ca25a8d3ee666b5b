"""What a comparison says in one word: better, worse, or not distinguishable, and at which confidence.

    Qwen2-VL-2B against Qwen2-VL-7B: worse by judge_ratio (0.596 against 0.868, difference -0.271 [-0.469, -0.110]);
    paired randomisation, exact, and skew-corrected t test on 10 documents: p 0.0042, 0.017 after Holm over the 7 ...

A family is a set of comparisons that are read together, by default all candidates against one baseline by one measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metrics.bounded import fewest_alike
from metrics.documents_needed import POWER, documents_needed, fewest_for
from metrics.paired import NonInferiority, Paired
from metrics.significance import holm

# Higher and lower are said of measures that judge nothing (`better="neither"`).
Word = Literal["better", "worse", "higher", "lower", "not distinguishable"]
_MCNEMAR = "McNemar, exact"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison as one of a family.

    `p` belongs to `test`, `p_adjusted` is Holm's. `documents_needed` is how many documents in all would find the
    difference seen so far with a probability of 0.8 (None: there is no difference to find, or so many did not find it);
    `reason` says why a small p or its absence did not lead to a decision.
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
        """Return the verdict for people, with everything it rests on."""
        one = self.paired
        interval = "" if one.ci_low is None else f" [{one.ci_low:+.3f}, {one.ci_high:+.3f}]"
        text = (
            f"{one.candidate} against {one.baseline}: {self.word} by {one.measure.name} "
            f"({one.value_candidate:.3f} against {one.value_baseline:.3f}, difference {one.difference:+.3f}{interval}, "
            f"{one.measure.better} is better); {self.test} on {one.documents} documents ({one.samples} samples): "
            f"p {self.p:.2g}, {self.p_adjusted:.2g} after Holm over the {self.family_size} comparisons of "
            f"{self.family!r}, {self.confidence:.0%} confidence"
        )
        if self.test != _MCNEMAR:
            kind = "exact" if one.wilcoxon.exact else "normal approximation"
            text += f" (beside it Wilcoxon's signed-rank test, {kind}: p {one.wilcoxon.p:.2g})"
        if self.reason:
            text += f"; {self.reason}"
        if self.word == "not distinguishable" and self.documents_needed:
            text += f"; about {self.documents_needed} documents would settle a difference of this size"
        if (test := one.non_inferiority) is not None:
            text += f"; {_non_inferior(one, test)}"
        return text


def verdicts(comparisons: Sequence[Paired], *, family: str = "", confidence: float | None = None) -> list[Verdict]:
    """Judge the comparisons of one family; each pair of runs and measure may be in it once.

    The test is of the difference of the overall figures (metrics.corpus_test), or McNemar's exact test where scores
    are right or wrong and each document has one answer. A candidate is better or worse where Holm's p is below
    1 - confidence.
    """
    if not comparisons:
        return []
    level = comparisons[0].confidence if confidence is None else confidence
    if not 0 < level < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {level}")
    keys = [f"{one.candidate}\0{one.baseline}\0{one.measure.name}" for one in comparisons]
    if len(set(keys)) < len(keys):
        raise ValueError("a family holds each comparison once; some candidates have the same name")
    tested = [_test(one) for one in comparisons]
    adjusted = holm(dict(zip(keys, (p for _, p in tested), strict=True)))
    name = family or _family(comparisons)
    return [
        _verdict(one, test, p, adjusted[key], (name, len(comparisons), level))
        for one, (test, p), key in zip(comparisons, tested, keys, strict=True)
    ]


def against_the_best(confidence: float, candidates: int) -> float:
    """Return at which confidence to judge all others against the best, so that `confidence` holds of all they say.

    Who is best is seen in the same data, so any of the k (k - 1) / 2 pairs could have been tested, and Holm's
    correction over k - 1 comparisons is not enough: of 15 equal candidates one is then called worse in 18% of all data
    sets. With alpha 2 / k Holm's first step is Bonferroni's over all pairs.
    """
    return 1 - (1 - confidence) * 2 / max(candidates, 2)


def _family(comparisons: Sequence[Paired]) -> str:
    baselines = sorted({one.baseline for one in comparisons})
    measures = sorted({one.measure.name for one in comparisons})
    return f"candidates against {', '.join(baselines)} by {', '.join(measures)}"


def _test(one: Paired) -> tuple[str, float]:
    """Return the name of the test that fits, and its p."""
    if one.mcnemar is not None and one.one_answer_per_document:
        return _MCNEMAR, one.mcnemar.p
    return ("no test", 1.0) if one.test is None else (one.test.method, one.test.p)


def _verdict(one: Paired, test: str, p: float, adjusted: float, family: tuple[str, int, float]) -> Verdict:
    name, size, level = family
    alpha = 1 - level
    word: Word = "not distinguishable"
    reason, fewest = "", 0
    if adjusted < alpha and one.difference:
        word = _word(one)
    else:
        reason, fewest = _undecided(one, test, alpha / size)
    needed = documents_needed(one.difference, one.spread, alpha=alpha / size, power=POWER)
    if needed is not None:
        needed = max(needed, fewest)
        if word == "not distinguishable" and needed <= one.documents:
            needed = None
    return Verdict(one, word, test, p, adjusted, name, size, level, needed, reason)


def _word(one: Paired) -> Word:
    if one.measure.better == "neither":
        return "higher" if one.difference > 0 else "lower"
    return "better" if one.gain > 0 else "worse"


def _undecided(one: Paired, test: str, alpha: float) -> tuple[str, int]:
    """Return why a difference that is there was not found, and how many documents that needs at least."""
    fewest = fewest_for(alpha)
    if one.documents < fewest:
        return f"{one.documents} documents are too few for any difference to show, it takes {fewest}", fewest
    found = one.test
    if found is None and one.difference:
        return "nothing can be tested, for without one of the documents there is no figure", 0
    if test == _MCNEMAR or found is None or not one.difference:
        return "", 0
    if found.unseen is not None and found.p == found.unseen:
        alike = "the documents differ so evenly that they say nothing of rare ones that were not seen"
        if found.reach is None:
            return f"{alike}, and the measure has no range to bound those", 0
        return alike, fewest_alike(one.difference, found.reach, alpha / 2)
    if one.wilcoxon.p < alpha:
        way = "higher" if one.wilcoxon.rank_biserial > 0 else "lower"
        return f"most documents are {way}, but that is not shown of the overall figure: look at the documents", 0
    return "", 0


def _non_inferior(one: Paired, test: NonInferiority) -> str:
    """Say whether a candidate was shown to be no worse, and if not, what stands in the way."""
    text = f"non-inferior within {test.margin:g}: "
    if test.bound is None:
        return text + f"can't be shown: {one.measure.name} has no range, a document is beyond it, or lengths differ"
    bound = f"(difference at worst {test.bound:+.3f}, one-sided {test.confidence:.0%})"
    if test.holds:
        return f"{text}yes {bound}"
    if test.fewest and one.documents < test.fewest:
        few = f"{one.documents} documents are too few to show it: at least {test.fewest} would be needed"
        return f"{text}not shown {bound}; {few}"
    return f"{text}not shown {bound}"
