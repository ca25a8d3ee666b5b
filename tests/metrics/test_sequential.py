"""A test that may be looked at after every document: it equals confseq's, and is wrong as seldom as it says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from metrics import sequential
from metrics.sequential import log_wealth

DIFFERENCES = [
    *(0.33, 0.6, 0.48, -0.07, 0.0, 0.57, -0.29, 0.52, 0.5, 0.17, 0.0, -0.02, -0.05, 0.15, 0.2),
    *(0.25, 0.7, 0.49, 0.32, 0.69, -0.08, -0.14, 0.31, -0.26, -0.26, 0.21, 0.17, 0.62, 0.33, 0.21),
]


def test_the_wealth_is_that_of_the_authors_package(monkeypatch: pytest.MonkeyPatch):
    # confseq 0.0.11, betting.betting_mart((x + 1) / 2, (1.5 / 40 + 1) / 2, N=40, theta=1, lambdas of inf, trunc_scale
    # each of four bets), their mean; its logarithm after 1, 5, 10, 20 and 30 documents, the highest until then.
    monkeypatch.setattr(sequential, "BETS", (0.1, 0.3, 0.6, 0.95))
    expected = [0.12877991, 0.60635515, 1.3507363, 3.81983045, 7.53547486]
    found = np.maximum.accumulate(log_wealth(np.array(DIFFERENCES), 1.5, 40))
    assert found[[0, 4, 9, 19, 29]] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    "documents",
    [(1, -1, 0, 0, 1, -1), (-1, 0.2, 0.2, 0.2, 0.2, 0.2), (0.9, -0.3, -0.3, -0.3, 0, 0), (-1, -1, 1, 1, 1, 0.5)],
)
@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_a_true_hypothesis_is_rejected_in_no_more_orders_than_alpha(documents: tuple[float, ...], alpha: float):
    orders = np.array(list(itertools.permutations(documents)), dtype=float)
    highest = log_wealth(orders, float(sum(documents)), len(documents)).max(axis=-1)
    assert (highest >= math.log(1 / alpha)).mean() <= alpha


def test_what_all_documents_say_is_certain():
    wealth = log_wealth(np.array([1.0, 1.0, 1.0, 1.0]), 0.5, 4)
    assert np.isfinite(wealth[:2]).all() and np.isinf(wealth[2:]).all(), "the last one can no longer make up for it"
    assert (log_wealth(np.array([1.0, -1.0, -1.0, 1.0]), 0.0, 4) < 3).all(), "equal in the end"
    assert (log_wealth(np.zeros(50), 0.5, 50) <= 0).all(), "nothing differs"


def test_what_lies_beyond_the_range_is_refused():
    with pytest.raises(ValueError, match="beyond"):
        log_wealth(np.array([0.2, 1.2]), 0.0, 10)
    with pytest.raises(ValueError, match="3 differences of 2"):
        log_wealth(np.zeros(3), 0.0, 2)
