"""How often a race (race=true) stops the best candidate, and how many generations it saves.

    python benchmarks/racing.py [--sweeps 1000]

Sweeps of eight candidates are simulated, each with its documents in a new random order, and judged by the test that a
race uses (metrics.sequential), in blocks of a twentieth of the documents. A wrong stop: the candidate that is best on
all documents of the sweep, or one that is worse than it by `report.margin` at most, was stopped. The fixed sweep asks
all. The published answers are those of ../shared/data/screen_annotation: ten screenshots, five answers to each from
each of eight models, with their ROUGE. Documents are drawn from the ten, and an answer from the five. Takes a minute.
"""

import argparse
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from parts.limits import Limit, tell

from metrics.sequential import log_wealth

PUBLISHED = Path(__file__).parents[2] / "shared" / "data" / "screen_annotation" / "auto_metrics_stats.xlsx"
CANDIDATES, ROUNDS, ERROR, MARGIN = 8, 20, 0.05, 0.01
WRONG, ASKED, MORE = 0.05, 0.5, 1.02
Scores = Callable[[np.random.Generator], np.ndarray]  # (candidates, documents), 0 to 1, documents in random order


@dataclass(frozen=True)
class Outcome:
    """Of one sweep: the share of the fixed sweep's generations, whom it stopped, and whether one of them wrongly."""

    asked: float
    stopped: int
    wrong: bool


def race(scores: np.ndarray, margin: float = MARGIN) -> Outcome:
    """Race candidates as sweeps/racing/race.py does where no constraint waits for a figure."""
    count, documents = scores.shape
    # wealth[b, j]: of the bets against "b is worse than j by the margin at most"
    wealth = log_wealth(scores[None] - scores[:, None], margin * documents, documents)
    wealth[np.arange(count), np.arange(count)] = -np.inf
    asked = np.zeros(count, int)
    left = set(range(count))
    block = -(-documents // ROUNDS)
    for end in range(block, documents + block, block):
        asked[list(left)] = min(end, documents)
        if end >= documents:
            break
        # Against a rival that is stopped nothing more is bet.
        frozen = np.minimum(np.arange(end), asked[:, None] - 1)
        left -= {
            one
            for one in left
            if np.logaddexp.reduce(wealth[one, np.arange(count)[:, None], frozen]).max() >= np.log((count - 1) / ERROR)
        }
        if len(left) == 1:
            break
    means = scores.mean(axis=1)
    stopped = set(range(count)) - left
    good = set(np.flatnonzero(means >= means.max() - margin - 1e-9))
    return Outcome(float(asked.sum() / scores.size), len(stopped), bool(stopped & good))


def published(measure: str, documents: int) -> Scores:
    """Return sweeps whose answers are drawn from the published ones."""
    import pandas as pd

    table = pd.read_excel(PUBLISHED, engine="openpyxl")
    answers = np.array(
        [
            [rows[measure].to_numpy()[:5] for _, rows in of_model.groupby("Image")]
            for _, of_model in table.groupby("model_name")
        ]
    )

    def draw(random: np.random.Generator) -> np.ndarray:
        pages = random.integers(0, answers.shape[1], documents)
        which = random.integers(0, answers.shape[2], (len(answers), documents))
        return answers[np.arange(len(answers))[:, None], pages, which]

    return draw


def right(shares: list[float], documents: int, shared: float = 0.5) -> Scores:
    """Return sweeps of right and wrong answers with these expected shares; `shared`: what they have in common."""
    from scipy.stats import norm

    limits = norm.ppf(shares)[:, None]

    def draw(random: np.random.Generator) -> np.ndarray:
        own, common = random.normal(size=(len(shares), documents)), random.normal(size=documents)
        return (np.sqrt(1 - shared) * own + np.sqrt(shared) * common < limits).astype(float)

    return draw


def alike(documents: int) -> Scores:
    """Return sweeps whose candidates give the same answers, but for one document in fifty."""

    def draw(random: np.random.Generator) -> np.ndarray:
        same = (random.random(documents) < 0.8).astype(float)
        return np.where(random.random((CANDIDATES, documents)) < 0.02, 1 - same, same)

    return draw


def at_the_margin(documents: int, ruined: float) -> Scores:
    """Return sweeps in which seven candidates, which answer alike, are better than the first by exactly the margin.

    Anything that is said against the first is wrong, and nowhere is it said sooner. With `ruined` the first is a little
    better on most documents and fails on that share of them; without, half of the differences have either sign.
    """
    if ruined:
        bad = round(ruined * documents)
        worse = np.where(np.arange(documents) < bad, 0.9, (MARGIN * documents - 0.9 * bad) / (documents - bad))
    else:
        lead, differing = round(MARGIN * documents), documents // 5
        worse = np.zeros(documents)
        worse[:differing] = np.where(np.arange(differing) < (differing + lead) // 2, 1, -1)

    def draw(random: np.random.Generator) -> np.ndarray:
        differences = random.permutation(worse)
        first = np.where(differences > 0, 0.0, 1.0)
        return np.vstack([first, np.repeat((first + differences)[None], CANDIDATES - 1, axis=0)])

    return draw


def simulated(name: str, draw: Scores, sweeps: int) -> tuple[float, float, float]:
    """Return the share asked, the share of sweeps with a wrong stop, and those in which somebody was stopped."""
    random = np.random.default_rng(16)
    outcomes = [race(draw(random)) for _ in range(sweeps)]
    asked = float(np.mean([one.asked for one in outcomes]))
    wrong = float(np.mean([one.wrong for one in outcomes]))
    some = float(np.mean([one.stopped > 0 for one in outcomes]))
    stopped = float(np.mean([one.stopped for one in outcomes]))
    print(
        f"{name}: asked {asked:.1%}, {stopped:.1f} of {CANDIDATES} stopped, "
        f"someone in {some:.1%} of sweeps, wrong {wrong:.1%}"
    )
    return asked, wrong, some


def main() -> int:
    """Simulate and print; return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=1000)
    run = functools.partial(simulated, sweeps=parser.parse_args().sweeps)
    limits: list[Limit] = []
    if PUBLISHED.exists():
        for measure in ("rougeL", "rouge1"):
            for documents in (100, 200, 400, 1000):
                name = f"published answers by {measure}, {documents} documents"
                asked, wrong, _ = run(name, published(measure, documents))
                limits.append(Limit(f"race: wrong stops, {name}", wrong, "<=", WRONG))
                if documents == 400:  # as many answers as were published of all models
                    limits.append(Limit(f"race: generations beside the fixed sweep, {name}", asked, "<=", ASKED))
    else:
        limits.append(Limit("race: generations beside the fixed sweep, published answers", None, "<=", ASKED))
    spread = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.88, 0.9]
    others = {
        "right on 50 to 90%": right(spread, 400),
        "two close ones lead: 0.90, 0.89, others 0.8": right([0.9, 0.89, *[0.8] * 6], 400),
        "all right on 80%, nothing differs": right([0.8] * CANDIDATES, 400),
        "the same answers but for 2%": alike(400),
        "seven better by exactly the margin, right and wrong": at_the_margin(400, 0.0),
        "seven better by exactly the margin, the first fails on 5%": at_the_margin(400, 0.05),
    }
    for name, draw in others.items():
        asked, wrong, _ = run(name, draw)
        limits.append(Limit(f"race: wrong stops, {name}", wrong, "<=", WRONG))
        if "nothing differs" in name or "the same answers" in name:
            limits.append(Limit(f"race: generations beside the fixed sweep, {name}", asked, "<=", MORE))
    return tell(limits)


if __name__ == "__main__":
    sys.exit(main())
