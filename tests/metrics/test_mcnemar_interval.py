"""McNemar's test and its interval agree, and the interval covers. No verdict contradicts its interval."""

import itertools

import numpy as np
import pytest
from scipy import stats

from metrics.mcnemar_interval import mcnemar_interval
from metrics.paired_verdict import verdicts
from tests.metrics.test_paired import paired, run

TABLES = [(n, gained, lost) for n in (*range(1, 8), 12) for gained in range(n + 1) for lost in range(n + 1 - gained)]


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_it_excludes_zero_exactly_where_the_test_rejects(confidence):
    for n, gained, lost in TABLES:
        p = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
        found = mcnemar_interval(gained, lost, n, confidence)
        assert -1 <= found.low <= (gained - lost) / n <= found.high <= 1
        assert (found.low > 0 or found.high < 0) == (p < 1 - confidence), (n, gained, lost)
        other = mcnemar_interval(lost, gained, n, confidence)
        assert (other.low, other.high) == pytest.approx((-found.high, -found.low))


def test_nothing_that_differs_is_the_bound_of_clopper_and_pearson():
    found = mcnemar_interval(0, 0, 20, 0.95)
    assert (found.low, found.high) == pytest.approx((-(1 - 0.025 ** (1 / 20)), 1 - 0.025 ** (1 / 20)))
    assert mcnemar_interval(20, 0, 20, 0.95).high == 1


def test_it_is_the_quantile_of_the_melded_distributions():
    random = np.random.default_rng(0)
    for gained, lost, n in ((7, 1, 21), (12, 1, 40), (5, 15, 30), (6, 0, 1000)):
        differ = gained + lost
        gain = random.beta(gained, lost + 1, 400_000)
        small, large = random.beta(differ, n - differ + 1, 400_000), random.beta(differ + 1, n - differ, 400_000)
        share = np.where(gain > 0.5, small, large)
        drawn = np.quantile((2 * gain - 1) * share, 0.025)
        assert mcnemar_interval(gained, lost, n, 0.95).low == pytest.approx(drawn, abs=0.003)


def test_it_covers_whatever_the_shares_are():
    n = 12
    limits = {(gained, lost): mcnemar_interval(gained, lost, n, 0.95) for size, gained, lost in TABLES if size == n}
    tables = np.array(list(limits))
    for up, down in itertools.product(np.linspace(0, 1, 11), repeat=2):
        if up + down > 1:
            continue
        chances = stats.multinomial.pmf(
            np.column_stack([tables, n - tables.sum(axis=1)]), n, [up, down, max(0.0, 1 - up - down)]
        )
        held = [one.low - 1e-9 <= up - down <= one.high + 1e-9 for one in limits.values()]
        assert chances[held].sum() >= 0.95, (up, down)


def test_what_does_not_fit_is_refused():
    for gained, lost, n in ((3, 3, 5), (-1, 2, 5), (0, 0, 0)):
        with pytest.raises(ValueError, match="do not fit"):
            mcnemar_interval(gained, lost, n, 0.95)
    with pytest.raises(ValueError, match="between 0 and 1"):
        mcnemar_interval(1, 1, 5, 1.0)


def contradictions(baseline, candidates):
    """Return where a verdict of a family says one thing and its interval another."""
    made = verdicts([paired(baseline, candidate) for candidate in candidates])
    wrong = []
    for verdict in made:
        low, high = verdict.paired.ci_low, verdict.paired.ci_high
        apart = low is not None and (low > 0 or high < 0)
        decided = verdict.word != "not distinguishable"
        if decided and not (low > 0 if verdict.word == "better" else high < 0):
            wrong.append(f"decided against the interval: {verdict}")
        if apart and not decided and not (verdict.reason and verdict.p_adjusted > verdict.p):
            wrong.append(f"apart by the interval, and nothing says why it is not decided: {verdict}")
        if apart and verdict.p >= 0.05:
            wrong.append(f"the interval is narrower than the test: {verdict}")
    return wrong


@pytest.mark.parametrize("per_document", [1, 2, 3])
@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 0.5, 1.0), (0.3, 0.31, 0.9)])
def test_no_verdict_contradicts_its_interval(per_document, values):
    random = np.random.default_rng(per_document)
    wrong = []
    for _ in range(25):
        n = per_document * int(random.integers(2, 16))
        base = random.choice(values, n)
        # Some candidates differ rarely, some nearly everywhere: ties, families, both directions.
        others = [np.where(random.random(n) < share, random.choice(values, n), base) for share in (0.1, 0.5, 1.0)]
        others.append(np.where(random.random(n) < 0.8, max(values), base))
        candidates = [run(str(k), other, per_document=per_document) for k, other in enumerate(others)]
        for family in (candidates, candidates[-1:]):
            wrong += contradictions(run("base", base, per_document=per_document), family)
    assert not wrong, "\n".join(wrong[:5])


def test_six_of_forty_that_are_lost():
    """p is 0.031; the interval of the studentised difference held 0 beside "worse"."""
    (verdict,) = verdicts([paired(run("a", [1.0] * 40), run("b", [0.0] * 6 + [1.0] * 34))])
    assert (verdict.word, verdict.test) == ("worse", "McNemar, exact")
    assert verdict.paired.ci_low == pytest.approx(-0.2960, abs=0.01)
    assert verdict.paired.ci_high < 0
