"""Statistics of repeated questions: how similar the answers are, and how much information repeats add."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class Repeats:
    """How much the repeats of a question resemble each other in one score.

    `icc` is the intraclass correlation, the share of variance between groups (1: repeats always agree; below 0: repeats
    differ more than groups). `size` is the mean group size, adjusted for unequal sizes. `design_effect` is the factor
    by which the variance of a mean exceeds that of independent answers; `effective` is the effective sample size.
    """

    icc: float
    size: float
    design_effect: float
    n: int
    groups: int

    @property
    def effective(self) -> float:
        """Return the effective sample size: the number of independent answers with the same information."""
        return self.n / self.design_effect


def intraclass_correlation(groups: Sequence[Sequence[float]]) -> Repeats | None:
    """Return the one-way random-effects ICC(1) of scores grouped by sample (or by document).

    Fisher 1925; Shrout & Fleiss 1979, "Intraclass correlations". Design effect: Kish 1965, "Survey Sampling", with the
    ICC taken as at least 0. None with fewer than two groups, no group of two, or no variance at all.
    """
    sizes = np.array([len(group) for group in groups if len(group)], dtype=np.float64)
    if len(sizes) < 2 or sizes.max() < 2:
        return None
    values = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    n, k = int(sizes.sum()), len(sizes)
    means = np.array([group.mean() for group in values])
    grand = float(np.concatenate(values).mean())
    between = float((sizes * (means - grand) ** 2).sum()) / (k - 1)
    within = float(sum(((group - mean) ** 2).sum() for group, mean in zip(values, means, strict=True))) / (n - k)
    size = (n - float((sizes**2).sum()) / n) / (k - 1)
    if between + (size - 1) * within <= 0:
        return None
    icc = (between - within) / (between + (size - 1) * within)
    # The mean over all answers weights each group by its size, so the design effect does too.
    weighted = float((sizes**2).sum()) / n
    return Repeats(icc, size, 1 + (weighted - 1) * max(0.0, icc), n, k)


@dataclass(frozen=True, slots=True)
class Consistency:
    """How similar the answers to a repeated question are, over `samples` questions with at least two answers.

    `unique_answers` is the mean number of distinct answers to a question, `identical` the share of questions with equal
    answers only. `similarity` is the mean over questions of the mean pairwise 1 - Levenshtein distance / longer length
    (1 for equal answers, also for two empty ones). `repeats` is the mean number of answers to a question.
    """

    samples: int
    repeats: float
    unique_answers: float
    identical: float
    similarity: float


def consistency(answers: Sequence[Sequence[str]]) -> Consistency | None:
    """Compare the answers to each question without normalisation; None if no question has two answers."""
    several = [list(texts) for texts in answers if len(texts) > 1]
    if not several:
        return None
    unique = [len(set(texts)) for texts in several]
    return Consistency(
        samples=len(several),
        repeats=float(np.mean([len(texts) for texts in several])),
        unique_answers=float(np.mean(unique)),
        identical=float(np.mean([count == 1 for count in unique])),
        similarity=float(np.mean([_similarity(texts) for texts in several])),
    )


def _similarity(texts: Sequence[str]) -> float:
    return float(np.mean([Levenshtein.normalized_similarity(*pair) for pair in itertools.combinations(texts, 2)]))


def spread(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the pooled standard deviation within groups (n - 1 each), in units of the score; None without repeats."""
    several = [np.asarray(group, dtype=np.float64) for group in groups if len(group) > 1]
    if not several:
        return None
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in several)
    return float(np.sqrt(squares / sum(len(group) - 1 for group in several)))
