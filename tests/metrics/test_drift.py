"""How far blocks over time are apart, by intervals that hold what they promise; candidates beside each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metrics import drift
from metrics.drift import Document, Level


def blocks(
    random: np.random.Generator, documents: int, slower: float = 0.0, *, lengths: bool = True
) -> list[list[Document]]:
    """Three blocks of documents whose latencies follow the lengths of their answers, and differ by 5% otherwise."""
    found = []
    for number in range(3):
        tokens = random.lognormal(4, 0.6, documents)
        latencies = np.log(0.3 + 0.02 * tokens) + random.normal(0, 0.05, documents) + np.log1p(slower) * number / 2
        found.append(
            [
                Document(float(latency), (math.log1p(length),) if lengths else ())
                for latency, length in zip(latencies, tokens, strict=True)
            ]
        )
    return found


def looked(of: list[list[Document]]) -> drift.Drift:
    levels = drift.levels(of)
    assert levels is not None
    return drift.look(levels)


def test_a_machine_that_became_slower_is_found_and_quantified():
    found = looked(blocks(np.random.default_rng(1), 40, slower=0.15))
    assert (found.fastest, found.slowest) == (0, 2)
    assert 0.05 < found.at_least < found.spread < found.at_most < 0.3 and found.spread == pytest.approx(0.15, abs=0.04)
    assert found.levels[0] == 1 and found.levels[2] - 1 == pytest.approx(found.spread)


def test_lengths_of_answers_explain_what_would_hide_a_change():
    without = looked(blocks(np.random.default_rng(1), 40, slower=0.15, lengths=False))
    assert without.at_least == 0 and without.at_most > 0.3, "it is not known, and that is said"


@pytest.mark.parametrize("slower", [0.0, 0.15])
def test_the_interval_holds_the_truth(slower: float):
    random = np.random.default_rng(2)
    found = [looked(blocks(random, 12, slower)) for _ in range(300)]
    wrong = sum(not one.at_least <= slower <= one.at_most for one in found)
    assert wrong <= 26, "5% of 300 are 15, and more than 26 come once in two hundred times"


def test_without_lengths_it_is_a_comparison_of_means_by_welch():
    random = np.random.default_rng(3)
    one, other = random.normal(0, 0.1, 9), random.normal(0.3, 0.2, 14)
    levels = drift.levels([[Document(float(value)) for value in values] for values in (one, other)])
    assert levels is not None
    found = drift.look(levels)
    low, high = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert (math.log1p(found.at_least), math.log1p(found.at_most)) == pytest.approx((low, high))
    corrected = drift.look(levels, tests=5)
    low, high = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.99)
    assert (math.log1p(corrected.at_least), math.log1p(corrected.at_most)) == pytest.approx((low, high))


def test_lengths_that_say_nothing_change_nothing():
    values = np.random.default_rng(4).normal(0, 0.1, (2, 8))
    plain = drift.levels([[Document(float(one)) for one in block] for block in values])
    constant = drift.levels([[Document(float(one), (3.0, 3.0)) for one in block] for block in values])
    some = drift.levels(
        [[Document(float(one), (3.0,) if number else ()) for number, one in enumerate(block)] for block in values]
    )
    assert plain is not None and constant is not None
    assert np.array(constant) == pytest.approx(np.array(plain)) and some == plain


def test_blocks_that_are_all_the_same_do_not_differ():
    found = looked([[Document(0.7, (2.0, 3.0))] * 4] * 3)
    assert found.spread == found.at_least == found.at_most == 0 and found.levels == (1, 1, 1)


def test_a_block_of_few_documents_is_not_compared():
    assert drift.levels([[Document(0.0)] * 4, [Document(0.0)] * 3]) is None and drift.levels([]) is None
    with pytest.raises(ValueError, match="two blocks"):
        drift.look([Level(0, 1, 3)])
    with pytest.raises(ValueError, match="two blocks"):
        drift.ratio([Level(0, 1, 3)], [Level(0, 1, 3)])


def test_all_together_are_no_surer_than_each():
    both = drift.together([[Level(0.0, 0.1, 5), Level(1.0, 0.3, 5)], [Level(0.2, 0.1, 4), Level(1.2, 0.1, 9)]])
    assert both == [pytest.approx((0.1, 0.1, 4)), pytest.approx((1.1, 0.2, 5))]


def test_candidates_are_compared_block_by_block():
    machine = np.array([0.0, 0.5, 1.0])  # what the machine does to both of them cancels out
    fast = [Level(float(value), 0.2, 9) for value in machine]
    slow = [Level(float(value), 0.2, 9) for value in machine + np.log([1.10, 1.12, 1.11])]
    found = drift.ratio(slow, fast)
    assert found.blocks == pytest.approx((0.10, 0.12, 0.11)) and 0.07 < found.low < 0.11 < found.high < 0.14
    low, high = stats.ttest_1samp(np.log1p(found.blocks), 0).confidence_interval(0.95)
    assert (math.log1p(found.low), math.log1p(found.high)) == pytest.approx((low, high))
    disagree = drift.ratio([Level(0.1, 0, 9), Level(-0.05, 0, 9), Level(0.1, 0, 9)], [Level(0, 0, 9)] * 3)
    assert disagree.low < 0 < disagree.mean
    assert drift.ratio([Level(0, 0, 1), Level(900.0, 0, 1)], [Level(0, 0, 1)] * 2).high < math.inf
