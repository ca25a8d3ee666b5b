#!/bin/sh
# What the test of two proportions of mlxtend 0.25.0 (PyPI) says of two systems, in either order.
#
# Guess, written down before it was run: p = 1 for two equal proportions; it is called a test of the difference and has no argument
# for a side.
# Seen: 0.5. It is a test of one side, and the order of the arguments decides which: 80 of 100 against 90 of 100 is
# p = 0.023, and 90 against 80 is p = 0.977. The test of both sides gives 0.046 each way.
# So a new model that is clearly better comes out as "not significant" where it is named first, and where it is second the p is half
# of that of other packages. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "mlxtend==0.25.0"
"$folder/venv/bin/python" - <<'PYTHON'
from mlxtend.evaluate import proportion_difference
from scipy.stats import norm

found = {}
for pair in ((0.8, 0.8), (0.8, 0.9), (0.9, 0.8)):
    z, p = proportion_difference(*pair, 100)
    found[pair] = round(float(p), 3)
    print(f"mlxtend 0.25.0, {pair} of 100 each: z {z:.2f}, p {p:.3f}; of both sides {2 * norm.sf(abs(z)):.3f}")
assert found == {(0.8, 0.8): 0.5, (0.8, 0.9): 0.023, (0.9, 0.8): 0.977}, found
PYTHON
echo "as described"
