"""Do the promises of docs/statistics.md hold? Simulations of non-inferiority, verdicts, intervals, passing, drift.

    python benchmarks/statistics_coverage.py [--families 300] [--samples 1000]

Everything goes through the functions that a user's comparison goes through. Rates are counted on many simulated data
sets with fixed seeds; a rate of 5% from 1,200 data sets has a standard error of 0.6 points. Takes three or four
minutes of CPU.
"""

import argparse
import sys
from collections.abc import Callable, Iterator

import numpy as np
from parts.limits import Limit, tell
from parts.unsteady_machine import Machine, reported

from metrics import bounded, statistics
from metrics.api import Measure
from metrics.corpus_test import corpus_test
from metrics.paired_verdict import against_the_best
from metrics.registry import create
from metrics.selective import Items, may_pass
from metrics.significance import holm, signed_rank
from metrics.statistics import ratio_of_sums

DOCUMENTS = (20, 60, 240)
CANDIDATES = 4
FALSE, COVERED, POWER_LOST = 0.06, 0.93, 0.05
SHARE = Measure("share", "higher", "mean", 0, 1, "simulated")
CER = create("cer").measures[0]
Sides = tuple[np.ndarray, np.ndarray]  # error rates (documents,) of the baseline, and (candidates, documents)


def family(baseline: np.ndarray, candidates: np.ndarray, alpha: float = 0.05) -> tuple[bool, float, float]:
    """Judge a family; return whether any is decided, the share decided, and the share that Wilcoxon decides."""
    ones = np.ones(len(baseline))
    before = np.stack([baseline, ones], axis=1)
    tested, ranked = {}, {}
    for number, candidate in enumerate(candidates):
        after = np.stack([candidate, ones], axis=1)
        both = np.concatenate([before, after], axis=1)
        found = statistics.jackknife(both, lambda sums: ratio_of_sums(sums[..., 2:]) - ratio_of_sums(sums[..., :2]))
        assert found is not None
        sums = bounded.of_difference(CER, ratio_of_sums, before, after)
        tested[str(number)] = corpus_test((before, after), ratio_of_sums, found, sums, draws=1999).p
        ranked[str(number)] = signed_rank(candidate - baseline).p
    decided = [p < alpha for p in holm(tested).values()]
    return any(decided), float(np.mean(decided)), float(np.mean([p < alpha for p in holm(ranked).values()]))


def against_best(rates: np.ndarray) -> bool:
    """Tell whether any of some candidates (candidates, documents) is called worse than the best, as the report does."""
    best = int(rates.mean(axis=1).argmin())
    return family(rates[best], np.delete(rates, best, axis=0), 1 - against_the_best(0.95, len(rates)))[0]


# Families of four. A skewed null: equal expected error rates, and a candidate that rarely ruins a document.


def skewed(random: np.random.Generator, n: int) -> Sides:
    """Baseline 0.10 everywhere; candidates 0.05, and 0.55 on a tenth of the documents."""
    return np.full(n, 0.10), np.where(random.random((CANDIDATES, n)) < 0.1, 0.55, 0.05)


def skewed_and_noisy(random: np.random.Generator, n: int) -> Sides:
    """Return the same with a little noise on every document, so that no two differ alike."""
    baseline, candidates = skewed(random, n)
    return baseline, candidates + random.normal(0, 0.01, candidates.shape)


def exchangeable(random: np.random.Generator, n: int) -> Sides:
    """Return five draws of the same error rates, on documents of different difficulty."""
    rates = random.beta(1, 15, (1 + CANDIDATES, n)) * random.uniform(0.2, 1.8, n)
    return rates[0], rates[1:]


def exchangeable_and_rare(random: np.random.Generator, n: int) -> Sides:
    """Return five draws of which most are 0: many ties."""
    shape = (1 + CANDIDATES, n)
    rates = np.where(random.random(shape) < 0.2, random.beta(2, 5, shape), 0.0)
    return rates[0], rates[1:]


def exchangeable_disasters(random: np.random.Generator, n: int) -> Sides:
    """Return five draws of the error rates of which the skewed candidates are."""
    rates = np.where(random.random((1 + CANDIDATES, n)) < 0.1, 0.55, 0.05)
    return rates[0], rates[1:]


def shifted(n: int) -> Callable[[np.random.Generator, int], Sides]:
    """Return normal differences with an effect that n documents find in most cases: d_z 0.8, 0.45, 0.22."""
    effect = {20: 0.8, 60: 0.45, 240: 0.22}[n]

    def draw(random: np.random.Generator, n: int) -> Sides:
        rates = 0.4 + 0.02 * random.normal(size=(1 + CANDIDATES, n))
        return rates[0], rates[1:] + effect * 0.02 * 2**0.5

    return draw


def verdicts(families: int) -> Iterator[Limit]:
    """Yield family-wise error rates and power."""
    nulls = (skewed, skewed_and_noisy, exchangeable, exchangeable_and_rare, exchangeable_disasters)
    for n in DOCUMENTS:
        for null in nulls:
            random = np.random.default_rng(n)
            rate = float(np.mean([family(*null(random, n))[0] for _ in range(families)]))
            yield Limit(f"family-wise error rate, {null.__name__}, {n} documents", rate, "<=", FALSE)
        random = np.random.default_rng(n)
        rate = float(np.mean([against_best(np.vstack(exchangeable(random, n))) for _ in range(families)]))
        yield Limit(f"someone worse than the best of five exchangeable, {n} documents", rate, "<=", FALSE)
        random = np.random.default_rng(n)
        found = np.mean([family(*shifted(n)(random, n))[1:] for _ in range(families)], axis=0)
        what = f"power less than Wilcoxon's ({found[1]:.3f}), symmetric, {n} documents"
        yield Limit(what, float(found[1] - found[0]), "<=", POWER_LOST)


def non_inferiority(samples: int) -> Iterator[Limit]:
    """Yield how often a harm exactly at the margin is declared to be within it, and how often no harm is."""
    for n in DOCUMENTS:
        ones = np.ones(n)
        for told, harm in (("0.2 on 5%", 0.2), ("1 on 5%", 1.0), ("0.05 on all", None)):
            random = np.random.default_rng(n)
            margin = 0.05 if harm is None else 0.05 * harm
            declared = 0
            for _ in range(samples):
                harmed = np.full(n, margin) if harm is None else np.where(random.random(n) < 0.05, harm, 0.0)
                declared += bounded.BoundedSums(harmed, ones, -1, 1).bounds(0.05, draws=2000)[1] < margin
            yield Limit(f"false non-inferior, harm {told} documents, {n} documents", declared / samples, "<=", FALSE)
    random, declared = np.random.default_rng(1), 0
    for _ in range(samples):
        same = random.normal(0, 0.02, 240)
        declared += bounded.BoundedSums(same, np.ones(240), -1, 1).bounds(0.05, draws=2000)[1] < 0.02
    yield Limit("truly non-inferior found, deviation 0.02, margin 0.02, 240 documents", declared / samples, ">=", 0.9)


# Figures: statistics (documents, 2) and the true figure.


def beta_cer(random: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Return CER of documents of 20 to 80 characters and different difficulty."""
    length = random.integers(20, 80, n)
    return np.stack([random.binomial(length, random.beta(2, 20, n)), length], axis=1).astype(float), 2 / 22


def mostly_right_cer(random: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Return CER of documents of which six in ten have no error."""
    length = random.integers(20, 80, n)
    rate = np.where(random.random(n) < 0.6, 0, random.beta(1, 12, n))
    return np.stack([random.binomial(length, rate), length], axis=1).astype(float), 0.4 / 13


def disaster_cer(random: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Return CER of 0.55 on a tenth of the documents, else 0.05."""
    return np.stack([np.where(random.random(n) < 0.1, 0.55, 0.05), np.ones(n)], axis=1), 0.10


def share(p: float) -> Callable[[np.random.Generator, int], tuple[np.ndarray, float]]:
    """Return one answer a document, right with probability p."""
    return lambda random, n: (np.stack([random.random(n) < p, np.ones(n)], axis=1).astype(float), p)


def clustered_share(random: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Return four answers a document, 95% right, correlated within it (0.3)."""
    right = random.binomial(4, random.beta(0.95 * 7 / 3, 0.05 * 7 / 3, n))
    return np.stack([right, np.full(n, 4)], axis=1).astype(float), 0.95


def intervals(samples: int) -> Iterator[Limit]:
    """Yield how often 95% intervals hold the true figure."""
    figures = {
        "CER": (CER, beta_cer),
        "CER, mostly right": (CER, mostly_right_cer),
        "CER, rare disasters": (CER, disaster_cer),
        "share 0.5": (SHARE, share(0.5)),
        "share 0.8": (SHARE, share(0.8)),
        "share 0.95": (SHARE, share(0.95)),
        "share 0.99": (SHARE, share(0.99)),
        "share 0.95, four answers a document": (SHARE, clustered_share),
    }
    for n in DOCUMENTS:
        for name, (measure, draw) in figures.items():
            random, covered = np.random.default_rng(n), 0
            for _ in range(samples):
                totals, truth = draw(random, n)
                found = statistics.confidence_interval(totals, ratio_of_sums, measure, replicates=999)
                covered += found is not None and found.low <= truth <= found.high
            yield Limit(f"coverage of the 95% interval, {name}, {n} documents", covered / samples, ">=", COVERED)


def sure_and_wrong(
    random: np.random.Generator, documents: int, answers: int, together: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draw confidences, most of them near 1, and answers that are wrong more often than they say.

    On a share `together` of the documents all answers are wrong or right together.
    """
    confidence = random.beta(8, 0.3, (documents, answers))
    alike = random.random((documents, 1)) < together
    fate = np.where(alike, random.random((documents, 1)), random.random((documents, answers)))
    return confidence, fate < (1 - confidence) ** 0.7


def passing(samples: int) -> Iterator[Limit]:
    """Yield how often more of what passes without a person is wrong than was said; and the mean share that passes."""
    random = np.random.default_rng(9)
    ranked = np.sort(sure_and_wrong(random, 500_000, 1, 0.0)[0].ravel())[::-1]
    true = np.cumsum((1 - ranked) ** 0.7) / np.arange(1, len(ranked) + 1)
    for documents, answers, together, risk in (
        *((100, 1, 0.0, 0.05), (300, 1, 0.0, 0.05), (1000, 1, 0.0, 0.05), (1000, 1, 0.0, 0.01)),
        *((100, 4, 0.3, 0.05), (300, 4, 0.3, 0.05), (300, 4, 0.9, 0.05)),
    ):
        broken, shares = 0, []
        for _ in range(samples):
            sure, wrong = sure_and_wrong(random, documents, answers, together)
            found = may_pass(Items(np.repeat(np.arange(documents), answers), sure.ravel(), wrong.ravel()), risk)
            shares.append(0.0 if found is None else found.share)
            if found is not None and found.passed:
                above = len(ranked) if found.threshold < 0 else np.searchsorted(-ranked, -found.threshold)
                broken += bool(true[above - 1] > risk)
        best = float(np.flatnonzero(true <= risk)[-1] + 1) / len(ranked)
        what = f"more than {risk:.0%} wrong of what passes, {documents} documents with {answers} answers"
        what += f", together on {together:.0%}" if together else ""
        yield Limit(f"{what} (passes: {np.mean(shares):.0%} of {best:.0%})", broken / samples, "<=", FALSE)


def drifting(samples: int) -> Iterator[Limit]:
    """Yield how often intervals are wrong about the machine, candidates get an order that they have not, and power."""
    for documents in (4, 12, 40, 200):
        for lasts in (0.0, 1 / 40, 1 / 8, 1 / 2, 3.0):
            yield from _honest(Machine(documents=documents, lasts=lasts), samples)
    yield from _honest(Machine(documents=12, known=False), samples)
    yield from _honest(Machine(documents=10, each=20), samples)
    yield from _honest(Machine(documents=40, lasts=1 / 2, blocks=8), samples)
    for machine, least in (
        (Machine(documents=12, slower=0.15), 0.5),
        (Machine(documents=40, slower=0.15), 0.95),
        (Machine(documents=200, slower=0.15), 0.95),
        (Machine(documents=200, slower=0.15, known=False), 0.5),
        (Machine(documents=1000, slower=0.15, known=False), 0.95),
    ):
        random = np.random.default_rng(machine.documents)
        rate = float(np.mean([reported(machine, random).warned for _ in range(samples)]))
        lengths = "known" if machine.known else "unknown"
        yield Limit(f"15% slower warned of, {machine.documents} documents, lengths {lengths}", rate, ">=", least)


def _honest(machine: Machine, samples: int) -> Iterator[Limit]:
    random = np.random.default_rng(machine.documents)
    wrong, warned, unfounded, ordered = np.mean([reported(machine, random) for _ in range(samples)], axis=0)
    what = f"{machine.blocks} blocks of {machine.documents} documents"
    what += f", {machine.each} answers each" if machine.each > 1 else ""
    what += f", disturbances of {machine.lasts:g} block" if machine.lasts else ""
    what += "" if machine.known else ", lengths unknown"
    yield Limit(f"intervals wrong, {what} (warned in {warned:.1%})", float(wrong), "<=", FALSE)
    yield Limit(f"warned where nothing changed by 2.5%, {what}", float(unfounded), "<=", FALSE)
    # Where one candidate's blocks follow each other, as at each turn, they share what lasts that long.
    limit = 0.08 if machine.lasts >= 1 / 2 else FALSE
    yield Limit(f"an order where there is none, {what}", float(ordered), "<=", limit)


def main() -> int:
    """Simulate and print; return 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=int, default=300)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    parts = (
        non_inferiority(options.samples),
        verdicts(options.families),
        intervals(options.samples),
        passing(options.families),
        drifting(options.families),
    )
    return max([tell([limit]) for part in parts for limit in part])


if __name__ == "__main__":
    sys.exit(main())
