"""Whether blocks over time differ by more than chance: the test, its batches, and that it does not cry wolf."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from metrics import drift


def blocks(random: np.random.Generator, answers: int, slower: float = 0.0) -> np.ndarray:
    """Batches of three blocks of latencies that differ from document to document by 30%."""
    levels = np.log1p(slower) * np.arange(3) / 2
    latencies = np.exp(random.normal(0, 0.3, (3, answers)) + levels[:, None])
    return np.array(
        [drift.batch_means([[one] for one in block], drift.batches(answers, answers)) for block in latencies]
    )


def test_a_machine_that_became_slower_is_found_and_quantified():
    found = drift.look(blocks(np.random.default_rng(1), 200, slower=0.5))
    assert found.p < 0.01 and (found.fastest, found.slowest) == (0, 2)
    assert found.levels[0] == 1 and found.levels[2] - 1 == pytest.approx(found.spread)
    assert 0.4 < found.spread < 0.6 and found.chance < found.spread


def test_where_nothing_changes_it_seldom_says_so():
    random = np.random.default_rng(2)
    alarms = sum(drift.look(blocks(random, 40), draws=399).p < 0.05 for _ in range(400))
    assert alarms <= 34, "5% of 400 are 20, and more than 34 come once in a thousand times"


def test_the_p_value_is_that_of_all_ways_to_deal_the_batches():
    means = np.array([[0.0, 0.1, 0.3], [0.5, 0.2, 0.9]])
    every = means.ravel()
    spreads = [
        abs(every[list(chosen)].mean() - np.delete(every, list(chosen)).mean()) for chosen in combinations(range(6), 3)
    ]
    observed = abs(means[0].mean() - means[1].mean())
    exact = float(np.mean([spread >= observed - 1e-12 for spread in spreads]))
    found = drift.look(means, draws=20_000)
    assert found.p == pytest.approx(exact, abs=0.02) and found.spread == pytest.approx(math.expm1(observed))


def test_blocks_that_are_all_the_same_do_not_differ():
    found = drift.look(np.full((3, 4), 0.7))
    assert found.p == 1 and found.spread == 0 and found.chance == 0


def test_batches_are_runs_of_answers_and_a_block_of_few_has_none():
    assert [drift.batches(answers, answers) for answers in (0, 11, 12, 23, 24, 5000)] == [0, 0, 4, 7, 8, 8]
    assert [drift.batches(5000, documents) for documents in (3, 4, 7, 9)] == [0, 4, 7, 8]
    assert drift.batch_means([[1], [math.e**3, 1], [1], [1]], 2) == pytest.approx([1.0, 0.0])


def test_documents_that_take_long_with_all_their_questions_are_no_drift():
    random = np.random.default_rng(3)

    def alarm() -> bool:
        documents = np.exp(random.normal(0, 0.5, (2, 10, 1)) + random.normal(0, 0.05, (2, 10, 20)))
        count = drift.batches(200, 10)
        return (
            drift.look(np.array([drift.batch_means(block.tolist(), count) for block in documents]), draws=399).p < 0.05
        )

    assert sum(alarm() for _ in range(200)) <= 20, "5% of 200 are 10, and more than 20 come once in a thousand times"


@pytest.mark.parametrize("latencies", [[[1.0]], [[1.0], [0.0]], [[1.0], [-1.0]], [[1.0], []]])
def test_what_has_no_logarithm_or_batch_is_refused(latencies: list[list[float]]):
    with pytest.raises(ValueError, match="each batch needs a document"):
        drift.batch_means(latencies, 2)


def test_one_block_or_one_batch_is_no_drift():
    for shape in ((1, 4), (3, 1), (4,)):
        with pytest.raises(ValueError, match="two blocks of two batches"):
            drift.look(np.zeros(shape))
