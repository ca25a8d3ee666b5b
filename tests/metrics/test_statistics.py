"""Intervals: what they cover, against closed forms, and what they refuse to say."""

import numpy as np
import pytest
from scipy import stats

from metrics.api import Measure
from metrics.bounded import BoundedSums, fewest_within
from metrics.registry import create
from metrics.statistics import (
    Jackknifed,
    confidence_interval,
    jackknife,
    percentile_interval,
    ratio_of_sums,
    skew_corrected,
    studentised_interval,
)

SHARE = Measure("share", "higher", "mean", 0, 1, "given")
(CER, _) = create("cer").measures


def simulated(random: np.random.Generator, documents: int) -> np.ndarray:
    """Return edits and lengths of documents that differ in difficulty; the true rate is 2/22."""
    length = random.integers(20, 80, size=documents)
    return np.stack([random.binomial(length, random.beta(2, 20, size=documents)), length], axis=1).astype(float)


def right(count: int, documents: int) -> np.ndarray:
    """Return one answer a document, `count` of them right."""
    return np.stack([np.arange(documents) < count, np.ones(documents)], axis=1).astype(float)


def test_ratio_is_undefined_without_a_denominator():
    assert np.isnan(ratio_of_sums(np.array([0.0, 0.0])))
    assert ratio_of_sums(np.array([[1.0, 4.0], [0.0, 0.0]])) == pytest.approx([0.25, np.nan], nan_ok=True)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=30)
    found = jackknife(np.stack([values, np.ones(30)], axis=1), ratio_of_sums)
    assert found.pseudo == pytest.approx(values)
    assert found.error == pytest.approx(stats.sem(values))
    assert found.skew * 30**0.5 == pytest.approx(stats.skew(values))


def test_no_interval_from_fewer_than_two_documents_or_undefined_figures():
    assert confidence_interval(np.array([[1.0, 10.0]]), ratio_of_sums, CER) is None
    assert confidence_interval(np.zeros((0, 2)), ratio_of_sums, CER) is None
    assert confidence_interval(np.array([[1.0, 10.0], [0.0, 0.0]]), ratio_of_sums, CER) is None
    with pytest.raises(ValueError, match="shape"):
        confidence_interval(np.ones(3), ratio_of_sums)


@pytest.mark.parametrize(("count", "documents"), [(0, 20), (20, 20), (20_000, 20_000)])
def test_all_right_or_all_wrong_has_the_width_of_clopper_and_pearson(count, documents):
    found = confidence_interval(right(count, documents), ratio_of_sums, SHARE)
    exact = stats.binomtest(count, documents).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.01)
    assert found.high > found.low
    assert confidence_interval(right(count, documents), ratio_of_sums) is None  # no range, and nothing differs


def test_a_share_is_never_wider_than_its_exact_interval():
    for count in range(1, 20):
        found = confidence_interval(right(count, 20), ratio_of_sums, SHARE, replicates=9_999)
        exact = stats.binomtest(count, 20).proportion_ci(0.95, "exact")
        assert exact.low - 0.02 <= found.low < count / 20 < found.high <= exact.high + 0.02


def test_the_inverse_of_the_skew_correction():
    for skew in (-0.8, 0.3, 0.9):
        pseudo = np.random.default_rng(1).exponential(size=40) * np.sign(skew)
        found = Jackknifed(float(pseudo.mean()), pseudo)
        interval = studentised_interval(found)
        critical = stats.t.ppf(0.975, 39)
        ends = [(found.value - end) / found.error for end in (interval.low, interval.high)]
        assert min(abs(skew_corrected(t, found.skew)) for t in ends) == pytest.approx(critical)
        assert max(map(abs, ends)) > critical


def test_nominal_confidence_covers_the_truth_from_twenty_documents_on():
    random, covered = np.random.default_rng(5), {20: 0, 60: 0}
    for documents in covered:
        for _ in range(400):
            interval = confidence_interval(simulated(random, documents), ratio_of_sums, CER)
            covered[documents] += interval.low <= 2 / 22 <= interval.high
    assert all(0.93 <= count / 400 <= 0.99 for count in covered.values()), covered


def test_repeats_of_a_document_do_not_narrow_the_interval():
    totals = simulated(np.random.default_rng(2), 30)
    once, five = (confidence_interval(times * totals, ratio_of_sums, CER) for times in (1, 5))
    assert (once.low, once.high) == pytest.approx((five.low, five.high))


def test_bounds_of_the_rarely_harmed():
    """Where 5% of documents are harmed, exactly at the margin, the bound is below it in 5% of samples at most."""
    random = np.random.default_rng(3)
    for documents, harm in ((20, 0.2), (60, 1.0)):
        missed = 0
        for _ in range(400):
            harmed = np.where(random.random(documents) < 0.05, harm, 0.0)
            missed += BoundedSums(harmed, np.ones(documents), -1, 1).bounds(0.05, draws=2000)[1] < 0.05 * harm
        assert missed / 400 <= 0.06
    nothing = BoundedSums(np.zeros(299), np.ones(299), -1, 1).bounds(0.05)[1]
    assert nothing == pytest.approx(1 - 0.05 ** (1 / 299), rel=0.05) and fewest_within(0.01, 1, 0.05) == 299


def test_wider_confidence_is_wider():
    totals = simulated(np.random.default_rng(0), 20)
    narrow, wide = (confidence_interval(totals, ratio_of_sums, CER, confidence=one) for one in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    values = np.random.default_rng(0).random(500)
    assert percentile_interval(values, 0.8).low > percentile_interval(values, 0.99).low


def test_senseless_settings_are_refused():
    for interval in (
        lambda: percentile_interval(np.ones(3), 95),
        lambda: confidence_interval(right(1, 3), ratio_of_sums, confidence=95),
    ):
        with pytest.raises(ValueError, match="confidence"):
            interval()


def test_no_error_rate_has_an_interval_that_goes_below_zero():
    """Nor where a document is beyond the worst that was assumed, so that no bounds are known."""
    totals = np.array([[30.0, 10.0], [2.0, 10.0]])
    interval = confidence_interval(totals, ratio_of_sums, CER)
    assert interval is not None and interval.low == 0.0 and interval.high > 1.6
