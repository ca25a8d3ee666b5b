import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import statistics
from metrics.statistics import bootstrap_interval, percentile_interval, ratio_of_sums, resample_totals

from .cases import quick


def simulated(random: np.random.Generator, documents: int) -> np.ndarray:
    """Return edits and lengths of documents that differ in difficulty; the true rate is 2/22."""
    length = random.integers(20, 80, size=documents)
    return np.stack([random.binomial(length, random.beta(2, 20, size=documents)), length], axis=1).astype(float)


def test_ratio_is_undefined_without_a_denominator():
    assert np.isnan(ratio_of_sums(np.array([0.0, 0.0])))
    assert ratio_of_sums(np.array([[1.0, 4.0], [0.0, 0.0]])) == pytest.approx([0.25, np.nan], nan_ok=True)


def test_every_resample_has_as_many_documents_in_bounded_chunks():
    totals = np.stack([np.ones(700), np.arange(700.0)], axis=1)
    resampled = resample_totals(totals, replicates=500, seed=1)
    assert resampled.shape == (500, 2)
    assert (resampled[:, 0] == 700).all()
    # The sum of 700 uniform draws from 0..699: mean 700 * 349.5, variance 700 * (700^2 - 1) / 12.
    assert resampled[:, 1].mean() == pytest.approx(700 * 349.5, rel=0.01)
    assert resampled[:, 1].std() == pytest.approx((700 * (700**2 - 1) / 12) ** 0.5, rel=0.1)


def test_same_seed_same_interval():
    totals = simulated(np.random.default_rng(0), 30)
    first = bootstrap_interval(totals, ratio_of_sums, seed=3)
    assert first == bootstrap_interval(totals, ratio_of_sums, seed=3)
    assert first != bootstrap_interval(totals, ratio_of_sums, seed=4)


@quick
@given(st.integers(2, 40), st.integers(0, 3))
def test_columns_side_by_side_are_resampled_alike(documents, seed):
    random = np.random.default_rng(seed)
    left, right = random.random((documents, 2)), random.random((documents, 3))
    together = resample_totals(np.concatenate([left, right], axis=1), replicates=20, seed=seed)
    assert together[:, :2] == pytest.approx(resample_totals(left, replicates=20, seed=seed))
    assert together[:, 2:] == pytest.approx(resample_totals(right, replicates=20, seed=seed))


def test_no_interval_from_fewer_than_two_documents_or_undefined_resamples():
    assert bootstrap_interval(np.array([[1.0, 10.0]]), ratio_of_sums) is None
    assert bootstrap_interval(np.zeros((0, 2)), ratio_of_sums) is None
    assert bootstrap_interval(np.array([[1.0, 10.0], [0.0, 0.0]]), ratio_of_sums) is None


def test_nominal_confidence_covers_the_truth():
    random, covered, trials = np.random.default_rng(5), 0, 400
    for trial in range(trials):
        interval = bootstrap_interval(simulated(random, 60), ratio_of_sums, replicates=400, seed=trial)
        covered += interval.low <= 2 / 22 <= interval.high
    assert 0.91 <= covered / trials <= 0.98


def test_repeats_of_a_document_do_not_narrow_the_interval():
    totals = simulated(np.random.default_rng(2), 30)
    repeated = totals * 5  # five identical repeats, summed within their documents
    once, five = bootstrap_interval(totals, ratio_of_sums), bootstrap_interval(repeated, ratio_of_sums)
    assert (once.low, once.high) == pytest.approx((five.low, five.high))


def test_wider_confidence_is_wider():
    values = statistics.resample_totals(np.random.default_rng(0).random((20, 1)))[:, 0]
    narrow, wide = percentile_interval(values, 0.8), percentile_interval(values, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_senseless_settings_are_refused():
    with pytest.raises(ValueError, match="confidence"):
        percentile_interval(np.ones(3), 95)
    with pytest.raises(ValueError, match="replicates"):
        resample_totals(np.ones((3, 1)), replicates=0)
    with pytest.raises(ValueError, match="shape"):
        resample_totals(np.ones(3))
