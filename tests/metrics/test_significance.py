"""The tests against scipy, brute force and published examples."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metrics.documents_needed import documents_needed, fewest_for
from metrics.paired_verdict import against_the_best
from metrics.significance import EXACT_UP_TO, holm, mcnemar, signed_rank
from tests.metrics.cases import quick


@pytest.mark.parametrize("n", [1, 5, 10, 23, EXACT_UP_TO])
def test_signed_rank_equals_scipy_without_ties(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    ours = signed_rank(differences)
    assert ours.p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
    assert (ours.exact, ours.n) == (True, n)


@quick
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
def test_signed_rank_counts_all_signs_with_ties_and_zeros(values):
    kept = [value for value in values if value]
    ranks = stats.rankdata(np.abs(kept)) if kept else []
    centre = sum(ranks) / 2
    seen = abs(sum(rank for rank, value in zip(ranks, kept, strict=True) if value > 0) - centre)
    sums = [
        sum(rank for rank, on in zip(ranks, signs, strict=True) if on)
        for signs in itertools.product((0, 1), repeat=len(kept))
    ]
    expected = np.mean([abs(one - centre) >= seen - 1e-9 for one in sums])
    assert signed_rank(np.array(values) / 10).p == pytest.approx(expected)


def test_ten_documents_of_one_sign_give_the_smallest_p():
    result = signed_rank(np.linspace(0.1, 1, 10))
    assert result.p == result.smallest_p == pytest.approx(0.001953125)
    assert (result.rank_biserial, signed_rank(-np.linspace(0.1, 1, 10)).rank_biserial) == (1, -1)


def test_many_documents_are_approximated_as_in_scipy():
    differences = np.random.default_rng(3).normal(0.1, 1, 400).round(1)
    ours = signed_rank(differences)
    theirs = stats.wilcoxon(differences.round(1), method="approx", correction=False)
    assert not ours.exact
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_no_difference_at_all():
    result = signed_rank(np.zeros(8))
    assert (result.p, result.n, result.rank_biserial) == (1, 0, 0)
    with pytest.raises(ValueError, match="not a number"):
        signed_rank(np.array([1, np.nan]))


def test_rounding_makes_no_difference_of_nothing():
    assert signed_rank(np.array([0.1 + 0.2 - 0.3, 0.5, 0.7])).n == 2
    assert signed_rank(np.array([0.1 + 0.2, 0.3, -0.1])).p == pytest.approx(signed_rank(np.array([3, 3, -1])).p)


def test_mcnemar_is_the_binomial_test_of_what_differs():
    baseline, candidate = np.repeat([1, 0, 1, 0], [40, 30, 12, 3]), np.repeat([1, 0, 0, 1], [40, 30, 12, 3])
    result = mcnemar(baseline, candidate)
    assert (result.gained, result.lost) == (3, 12)
    assert result.p == pytest.approx(2 * sum(stats.binom.pmf(k, 15, 0.5) for k in range(4)))  # 0.0352
    assert mcnemar(baseline, baseline).p == 1
    with pytest.raises(ValueError, match="right"):
        mcnemar(np.array([0.5]), np.array([1]))


def test_holm():
    # Holm 1979 by hand: 0.005 * 4, 0.01 * 3, then 0.03 * 2 and never below its predecessor.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1, "b": 1}
    assert holm({}) == {}


def test_holm_equals_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).uniform(0, 0.2, 28)
    expected = multitest.multipletests(p, method="holm")[1]
    assert list(holm({str(row): value for row, value in enumerate(p)}).values()) == pytest.approx(expected)


def test_holm_keeps_false_alarms_of_a_family_below_five_per_cent():
    random = np.random.default_rng(7)
    alarms = 0
    for _ in range(1000):
        common = random.normal(size=12)  # the baseline is in each comparison, so they are not independent
        p = {str(one): signed_rank(random.normal(size=12) - common).p for one in range(7)}
        alarms += min(holm(p).values()) < 0.05
    assert alarms / 1000 < 0.065


@pytest.mark.parametrize("effect", [0.5, 1.0])
def test_documents_needed_reach_their_power(effect):
    n = documents_needed(effect, 1.0, alpha=0.05)
    assert n is not None
    random = np.random.default_rng(1)
    power = np.mean([signed_rank(random.normal(effect, 1, n)).p < 0.05 for _ in range(1000)])
    assert 0.76 < power < 0.9


def test_documents_needed_at_the_edges():
    assert documents_needed(0, 1, alpha=0.05) is None
    assert (fewest_for(0.05), fewest_for(0.05 / 7)) == (6, 9)
    assert documents_needed(100, 1e-9, alpha=0.05) == 6
    assert 2 * 0.5 ** fewest_for(0.05) < 0.05 < 2 * 0.5 ** (fewest_for(0.05) - 1)


@pytest.mark.parametrize("candidates", [3, 8])
def test_others_are_not_worse_than_the_best_only_because_it_was_picked(candidates):
    random, uncorrected, false = np.random.default_rng(candidates), 0, 0
    for _ in range(1500):
        scores = random.normal(size=(candidates, 40))
        best = scores.mean(axis=1).argmax()
        others = [number for number in range(candidates) if number != best]
        p = holm({str(number): float(stats.ttest_rel(scores[best], scores[number]).pvalue) for number in others})
        uncorrected += min(p.values()) < 0.05
        false += min(p.values()) < 1 - against_the_best(0.95, candidates)
    assert false / 1500 <= 0.06 < uncorrected / 1500
    assert against_the_best(0.95, 2) == pytest.approx(0.95), "two candidates are one pair"
