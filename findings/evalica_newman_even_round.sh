#!/bin/sh
# What evalica 0.4.2 (PyPI), which makes leaderboards of paired comparisons, gives by Newman's algorithm (2023) where judges named a winner
# each time: a baseline against four models, which beat it 6:4, 7:3, 8:2 and 9:1.
#
# Guess, written down before it was run: without draws it is the model of Bradley and Terry, so each model's strength is that of the baseline
# times wins by losses: 1.5, 2.3, 4 and 9, and the baseline comes last.
# Seen: the baseline is third, above two models that it lost to, and of two models alone the one that won 9 of 10 is equal to the
# other: 1 and 1. All scores are updated at once, and where models were compared only across two groups (two models; a baseline against
# each; each checkpoint against the one before), they swing between two states and never settle. After 100 rounds, the limit, it returns
# whichever state it is in; after 101 another order. There is no warning: result.iterations alone equals the limit. Draws, or
# three models that all met, make it settle, and bradley_terry of the same package is right in each case.
# So a leaderboard against a baseline is wrong by an even number of rounds. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "evalica==0.4.2" "numpy==2.3.5" "pandas==3.1.1"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import evalica
from evalica import Winner

warnings.simplefilter("error")
Match = tuple[str, str, int, int, int]  # first, second, and how often the first won, the second won, and neither did


def ranked(method: str, matches: list[Match], limit: int = 100) -> list[tuple[str, float]]:
    """Return the models from the best down, each with its strength divided by that of the first match's second model."""
    first, second, winners = [], [], []
    for one, other, won, lost, drawn in matches:
        count = won + lost + drawn
        first += [one] * count
        second += [other] * count
        winners += [Winner.X] * won + [Winner.Y] * lost + [Winner.Draw] * drawn
    scores = getattr(evalica, method)(first, second, winners, limit=limit).scores
    return [(str(name), round(float(score / scores[matches[0][1]]), 2)) for name, score in scores.items()]


WON = {"a": 6, "b": 7, "c": 8, "d": 9}
star = [(name, "baseline", won, 10 - won, 0) for name, won in WON.items()]
by_hand = [(name, round(won / (10 - won), 2)) for name, won in reversed(WON.items())] + [("baseline", 1.0)]
pair = [("new", "old", 9, 1, 0)]
found = {
    "star": ranked("newman", star),
    "star, a round more": ranked("newman", star, limit=101),
    "star by Bradley and Terry": ranked("bradley_terry", star),
    "pair": ranked("newman", pair),
    "pair, a round more": ranked("newman", pair, limit=101),
    "pair by Bradley and Terry": ranked("bradley_terry", pair),
    "pair with draws": ranked("newman", [("new", "old", 9, 1, 5)]),
}
print(f"by hand: {by_hand}")
for name, value in found.items():
    print(f"evalica 0.4.2, {name}: {value}")
assert [name for name, _ in found["star"]] == ["d", "c", "baseline", "b", "a"], found
assert [name for name, _ in found["star, a round more"]] == ["d", "c", "b", "a", "baseline"], found
assert found["star, a round more"] != by_hand, found
assert found["star by Bradley and Terry"] == by_hand, found
assert dict(found["pair"]) == {"new": 1.0, "old": 1.0}, found
assert dict(found["pair, a round more"]) == {"new": 81.0, "old": 1.0}, found
assert dict(found["pair by Bradley and Terry"]) == dict(found["pair with draws"]) == {"new": 9.0, "old": 1.0}, found
PYTHON
echo "as described"
