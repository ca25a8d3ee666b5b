"""What a comparison says in one word: better, worse, or not distinguishable, and at which confidence.

    Qwen2-VL-2B against Qwen2-VL-7B: worse by judge_ratio (0.596 against 0.868, difference -0.271 [-0.379, -0.159]);
    Wilcoxon signed-rank, exact, on 10 documents: p 0.0039, 0.0156 after Holm over the 7 comparisons of ...

A family is a set of comparisons that are read together, by default all candidates against one baseline by one measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metrics.documents_needed import POWER, documents_needed, fewest_for
from metrics.paired import Paired
from metrics.significance import holm

Word = Literal["better", "worse", "not distinguishable"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison as one of a family.

    `p` belongs to `test`, `p_adjusted` is Holm's. `documents_needed` is how many documents in all would find the
    difference seen so far with a probability of 0.8 (None: there is no difference to find); `reason` says why a small p
    or its absence did not lead to a decision.
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
        if self.reason:
            text += f"; {self.reason}"
        if self.word == "not distinguishable" and self.documents_needed:
            text += f"; about {self.documents_needed} documents would settle a difference of this size"
        if (test := one.non_inferiority) is not None:
            text += f"; non-inferior within {test.margin:g}: {'yes' if test.holds else 'not shown'}"
            text += f" (difference at worst {test.bound:+.3f}, one-sided {test.confidence:.0%})"
        return text


def verdicts(comparisons: Sequence[Paired], *, family: str = "", confidence: float | None = None) -> list[Verdict]:
    """Judge the comparisons of one family; each pair of runs and measure may be in it once.

    The test is Wilcoxon's signed-rank test on the documents' figures, and McNemar's exact test where scores are right
    or wrong and each document has one answer. A candidate is better or worse where Holm's p is below 1 - confidence
    and the overall figure differs in the direction that the test found.
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
    adjusted = holm(dict(zip(keys, (p for _, p, _ in tested), strict=True)))
    name = family or _family(comparisons)
    return [
        _verdict(one, test, adjusted[key], (name, len(comparisons), level))
        for one, test, key in zip(comparisons, tested, keys, strict=True)
    ]


def _family(comparisons: Sequence[Paired]) -> str:
    baselines = sorted({one.baseline for one in comparisons})
    measures = sorted({one.measure.name for one in comparisons})
    return f"candidates against {', '.join(baselines)} by {', '.join(measures)}"


def _test(one: Paired) -> tuple[str, float, float]:
    """Return the name of the test that fits, its p, and the direction that it found (above 0: a higher figure)."""
    if one.mcnemar is not None and one.one_answer_per_document:
        return "McNemar, exact", one.mcnemar.p, one.mcnemar.gained - one.mcnemar.lost
    kind = "exact" if one.wilcoxon.exact else "normal approximation"
    return f"Wilcoxon signed-rank, {kind}", one.wilcoxon.p, one.wilcoxon.rank_biserial


def _verdict(one: Paired, test: tuple[str, float, float], adjusted: float, family: tuple[str, int, float]) -> Verdict:
    name, size, level = family
    alpha = 1 - level
    word: Word = "not distinguishable"
    reason = ""
    if adjusted < alpha:
        if test[2] * one.difference > 0:
            word = "better" if one.gain > 0 else "worse"
        else:
            reason = "most documents differ one way, the overall figure does not: look at the documents"
    elif one.documents < (fewest := fewest_for(alpha / size)):
        reason = f"{one.documents} documents are too few for any difference to show, it takes {fewest}"
    needed = documents_needed(one.mean, one.deviation, alpha=alpha / size, power=POWER)
    return Verdict(one, word, test[0], test[1], adjusted, name, size, level, needed, reason)
