"""Repeats of a question: agreement, design effect, spread; and the figures of published tables."""

import numpy as np
import pytest
from scipy import stats

from metrics.distribution import distribution
from metrics.repeats import consistency, intraclass_correlation, spread

# Shrout & Fleiss 1979, table 2: six targets, four judges; their ICC(1,1) is 0.17.
RATINGS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def test_icc_of_shrout_and_fleiss():
    found = intraclass_correlation(RATINGS)
    assert found.icc == pytest.approx(0.1657, abs=1e-4)
    assert (found.size, found.n, found.groups) == (4, 24, 6)
    assert found.design_effect == pytest.approx(1 + 3 * 0.1657, abs=1e-3)


def test_icc_and_design_effect_of_simulated_repeats():
    random = np.random.default_rng(0)
    groups = [random.normal(centre, 1, random.integers(3, 8)) for centre in random.normal(0, 1.5, 400)]
    found = intraclass_correlation(groups)
    assert found.icc == pytest.approx(1.5**2 / (1.5**2 + 1), abs=0.05)
    assert found.effective == pytest.approx(found.n / found.design_effect)
    assert spread(groups) == pytest.approx(1, abs=0.05)


def test_identical_repeats_are_worth_one_answer_each():
    found = intraclass_correlation([[1, 1, 1], [2, 2, 2], [4, 4, 4]])
    assert (found.icc, found.effective) == pytest.approx((1, 3))


@pytest.mark.parametrize("groups", [[], [[1, 2, 3]], [[1], [2]], [[1, 1], [1, 1]]])
def test_no_icc_without_repeats_groups_or_variance(groups):
    assert intraclass_correlation(groups) is None


def test_consistency():
    found = consistency([["да", "да", "да"], ["абвг", "абвд"], ["один"], []])
    assert (found.samples, found.unique_answers, found.identical) == (2, 1.5, 0.5)
    assert found.similarity == pytest.approx((1 + 0.75) / 2)
    assert consistency([["one"]]) is None
    assert consistency([["", ""]]).similarity == 1
    assert spread([[1], [2]]) is None


def test_distribution_equals_scipy_and_pandas_conventions():
    values = [1.0, 2.0, 4.0, 8.0]
    found = distribution(values)
    assert (found.n, found.mean, found.median, found.total) == (4, 3.75, 3, 15)
    assert found.std == pytest.approx(np.std(values, ddof=1))
    assert found.geometric_mean == pytest.approx(stats.gmean(values))
    assert found.naive_ci95_halfwidth == pytest.approx(1.96 * found.std / 2)
    assert distribution([]) is None
    one = distribution([0.0])
    assert (one.std, one.geometric_mean, one.naive_ci95_halfwidth) == (None, None, None)
    with pytest.raises(ValueError, match="finite"):
        distribution([float("nan")])
