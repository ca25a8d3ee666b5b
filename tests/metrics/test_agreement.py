"""Agreement with people, against scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from metrics.agreement import agreement


def test_equals_scipy_and_statsmodels():
    generator = np.random.default_rng(1)
    human = generator.integers(0, 5, 200).astype(float)
    measured = np.clip(human + generator.integers(-1, 2, 200), 0, 4)
    documents = [str(number % 40) for number in range(200)]
    found = agreement(human, measured, documents)
    assert found.spearman == pytest.approx(stats.spearmanr(human, measured).statistic)
    table = np.zeros((5, 5))
    np.add.at(table, (human.astype(int), measured.astype(int)), 1)
    assert found.kappa == pytest.approx(cohens_kappa(table, wt="quadratic", return_results=True).kappa)
    assert found.equal == (human == measured).mean() and found.bias == pytest.approx((measured - human).mean())
    for value, interval in ((found.spearman, found.spearman_interval), (found.kappa, found.kappa_interval)):
        assert interval.low < value < interval.high
    assert (found.n, found.documents) == (200, 40)


def test_other_scales_compare_by_order_only():
    found = agreement(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.11, 0.32, 0.33, 0.94]), list("abcd"))
    assert found.spearman == 1.0 and found.kappa is None and found.equal is None


def test_what_is_undefined():
    same = agreement(np.ones(4), np.ones(4), list("abcd"))
    assert same.spearman is None and same.kappa is None and same.equal == 1.0
    assert agreement(np.array([0.0, 1.0]), np.array([0.0, 1.0]), ["a", "a"]).spearman_interval is None
    with pytest.raises(ValueError, match="no answer with both scores"):
        agreement(np.array([]), np.array([]), [])
