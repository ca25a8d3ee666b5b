#!/bin/sh
# What ties do in the sign test of baycomp 1.0.3 (PyPI), Bayesian tests of two systems: each document was read better by
# the one, by the other, or by both alike.
#
# Guess, written down before it was run: with rope=0 the probability that the second system is the better one doesn't depend
# on the number of ties. 30 documents better and 20 worse make 0.92: under its Dirichlet posterior the share of "better" among the
# untied is Beta(30, 20) whatever the ties (a tie's weight cancels out), and that exceeds a half with probability 0.92.
# Seen: 0.92 without ties, 0.98 with 40 ties, 0.99 with 50, and (nan, nan) with 200. Of its draws those in which ties are the largest
# of the three shares are left out, and what remains are the draws that happen to lean far to one side. SignedRankTest,
# which two_on_multiple takes, gives 0.93 in each case.
# So of two systems that mostly agree, each further document that both read right makes the difference look surer, past 0.95, until
# there is no answer. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "baycomp==1.0.3" "numpy==2.3.5" "scipy==1.17.1"
"$folder/venv/bin/python" - <<'PYTHON'
import math
import warnings

import numpy as np
from baycomp import SignedRankTest, SignTest
from scipy.stats import beta

warnings.simplefilter("ignore")  # of the division 0 / 0
exact = float(beta.sf(0.5, 30, 20))
found = {}
for ties in (0, 40, 50, 200):
    first = np.zeros(50 + ties)
    second = np.array([1.0] * 30 + [-1.0] * 20 + [0.0] * ties)
    better = float(SignTest.probs(first, second, rope=0, random_state=1)[1])
    ranked = float(SignedRankTest.probs(first, second, rope=0, nsamples=5000, random_state=1)[1])
    found[ties] = better
    print(f"baycomp 1.0.3, 30 better, 20 worse, {ties} ties: sign test {better:.3f}, signed ranks {ranked:.3f}, Beta {exact:.3f}")
    assert abs(ranked - exact) < 0.02, ranked
assert abs(exact - 0.924) < 0.001, exact
assert abs(found[0] - exact) < 0.01, found
assert 0.97 < found[40] < 0.985 < found[50] < 1, found
assert math.isnan(found[200]), found
PYTHON
echo "as described"
