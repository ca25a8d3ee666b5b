#!/bin/sh
# Which residual crepes 0.9.1 (PyPI), a package of conformal prediction, takes for the half-width of its intervals.
#
# Guess, written down before it was run: with 19 residuals 1 to 19, at 0.9 the 18th, since ceil(20 x 0.9) = 18 (Vovk et al.
# 2005; Lei et al. 2018), as MAPIE 1.6.0 has it.
# Seen: the 19th. The rank from above is int((1 - 0.9) * 20), and this product is 1.9999999999999996 in binary fractions. With
# 9 residuals it is 0: the interval is infinite, with a warning of too few examples, where 9 are just enough. It is so at 0.9
# and 0.8 for 9, 19, 39, 99 and 199 residuals, the very numbers that make the bound exact, and not at 0.95. Nothing is invalid:
# the intervals are wider than they need be. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "crepes==0.9.1" "scikit-learn==1.9.1"
"$folder/venv/bin/python" - <<'PYTHON'
import warnings
from math import inf

import numpy as np
from crepes import ConformalRegressor

warnings.simplefilter("ignore")
found = {}
for number, confidence, expected in ((9, 0.9, 9), (19, 0.9, 18), (99, 0.9, 90), (9, 0.8, 8), (19, 0.95, 19)):
    regressor = ConformalRegressor()
    regressor.fit(np.arange(1.0, number + 1))
    found[number, confidence] = float(regressor.predict_int(np.array([0.0]), confidence=confidence)[0, 1])
    print(f"crepes 0.9.1, residuals 1 to {number} at {confidence}: {found[number, confidence]}; by the paper {expected}")
assert found == {(9, 0.9): inf, (19, 0.9): 19, (99, 0.9): 91, (9, 0.8): 9, (19, 0.95): 19}, found
PYTHON
echo "as described"
