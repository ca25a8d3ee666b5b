"""The test of the corpus figure: what it decides, by small simulations with fixed seeds and against closed forms."""

import numpy as np
import pytest
from scipy import stats

from metrics import bounded, statistics
from metrics.api import Measure
from metrics.corpus_test import corpus_test
from metrics.registry import create
from metrics.significance import holm
from metrics.statistics import ratio_of_sums

ERRORS = Measure("errors", "lower", "mean", 0, 1, "given")


def outcome(baseline, candidate, draws=999):
    """Test two columns of error rates, one answer a document."""
    sides = tuple(np.stack([side, np.ones(len(side))], axis=1) for side in (baseline, candidate))
    found = statistics.jackknife(
        np.concatenate(sides, axis=1), lambda sums: ratio_of_sums(sums[..., 2:]) - ratio_of_sums(sums[..., :2])
    )
    return corpus_test(sides, ratio_of_sums, found, bounded.of_difference(ERRORS, ratio_of_sums, *sides), draws=draws)


def test_randomisation_counts_all_swaps_of_few_documents():
    differences = np.random.default_rng(0).normal(0.05, 0.1, 9)
    found = outcome(np.full(9, 0.4), 0.4 + differences)
    theirs = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.randomised == pytest.approx(theirs.pvalue) and "exact" in found.method
    assert found.p == max(found.randomised, found.studentised)


def test_draws_come_close_to_all_swaps():
    differences = np.random.default_rng(1).normal(0.03, 0.1, 16)
    found = outcome(np.full(16, 0.4), 0.4 + differences, draws=9_999)
    theirs = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert found.randomised == pytest.approx(theirs.pvalue, abs=0.02) and "9,999 draws" in found.method


@pytest.mark.parametrize("documents", [20, 60])
def test_equal_figures_with_rare_disasters_are_not_told_apart(documents):
    random, alarms = np.random.default_rng(documents), 0
    for _ in range(60):
        family = np.where(random.random((4, documents)) < 0.1, 0.55, 0.05)
        p = {str(row): outcome(np.full(documents, 0.10), one).p for row, one in enumerate(family)}
        alarms += min(holm(p).values()) < 0.05
    assert alarms / 60 <= 0.06


def test_power_on_symmetric_differences():
    random = np.random.default_rng(4)
    found = np.mean([outcome(np.full(20, 0.4), 0.4 + random.normal(0.08, 0.1, 20)).p < 0.05 for _ in range(200)])
    assert found > 0.85


def test_documents_that_all_differ_alike_are_bounded_by_the_range():
    found = outcome(np.full(20, 0.5), np.full(20, 0.4), draws=9_999)
    assert found.studentised is None and found.p == found.unseen == pytest.approx(2 * 1.1**-20, rel=0.1)
    assert bounded.fewest_alike(0.1, found.reach, 0.025) == 39
    assert outcome(np.full(20, 0.5), np.full(20, 0.5)).p == 1


def test_a_figure_that_is_no_ratio_is_swapped_as_a_whole():
    bleu = create("bleu")
    random = np.random.default_rng(2)
    sides = [random.integers(5, 20, (30, 10)).astype(float) for _ in range(2)]
    for side in sides:
        side[:, 4:8] += 20

    def combine(totals):
        return bleu.combine("bleu", totals)

    found = statistics.jackknife(
        np.concatenate(sides, axis=1), lambda sums: combine(sums[..., 10:]) - combine(sums[..., :10])
    )
    result = corpus_test((sides[0], sides[1]), combine, found, None, draws=999)
    assert 0 < result.randomised <= 1 and result.unseen is None
    assert bounded.of_difference(bleu.measures[0], combine, *sides) is None
