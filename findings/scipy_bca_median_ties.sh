#!/bin/sh
# What the bootstrap of scipy 1.17.1 (PyPI), with BCa, its default, gives for a median of scores that hold ties: the
# edits of 20 answers, of which 11 need none.
#
# Guess, written down before it was run: a finite interval that holds the median. The documentation names a nan only for a
# degenerate distribution, "e.g. all elements are identical".
# Seen: nan to nan, with a warning. The values differ, and so do the medians of the resamples; but
# the median stays the same whichever value is left out, and BCa divides by the spread of these medians. More
# answers do not help as long as a little more than half are equal. "percentile" gives 0 to 3.5, and for scores without ties BCa is finite.
# So a median edit distance of a good reader has no interval, and a table with this column has holes. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "scipy==1.17.1"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

import numpy as np
from scipy.stats import bootstrap

warnings.simplefilter("ignore")
edits = np.array([0] * 11 + list(range(1, 10)), float)
found = {}
for method in ("BCa", "percentile"):
    result = bootstrap((edits,), np.median, method=method, rng=np.random.default_rng(0))
    found[method] = result.confidence_interval
    medians = len(np.unique(result.bootstrap_distribution))
    print(f"scipy 1.17.1, {method}: {found[method].low} to {found[method].high} ({medians} different medians in the resamples)")
assert np.isnan(found["BCa"].low) and np.isnan(found["BCa"].high)
assert medians > 5 and found["percentile"].low == 0 and found["percentile"].high > 2
apart = bootstrap((np.random.default_rng(0).normal(size=21),), np.median, rng=np.random.default_rng(0)).confidence_interval
print(f"scipy 1.17.1, BCa without ties: {apart.low:.2f} to {apart.high:.2f}")
assert np.isfinite([apart.low, apart.high]).all()
PYTHON
echo "as described"
