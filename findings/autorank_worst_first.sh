#!/bin/sh
# Which system stands first in the table of autorank 1.3.0 (PyPI), which ranks systems measured on the same documents.
#
# Guess, written down before it was run: the best one. In the README's example the first row has the least mean rank and the
# highest median, and effect sizes are said to be "in comparison to the highest ranking approach".
# Seen: the worst one. With order="descending", the default, the best system has mean rank 1, and then the rows
# are sorted by mean rank in descending order too. Effect sizes are those beside the worst system. approach="bayesian" has the
# same data the other way round, with the best one first. (order="ascending", as for error rates, is sorted as one expects.)
# So rankdf.index[0], taken for the winner, is the loser. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "autorank==1.3.0" "numpy==2.3.5" "pandas==3.1.1" "scipy==1.17.1" "statsmodels==0.15.0"
cd "$folder"
MPLBACKEND=Agg "$folder/venv/bin/python" - <<'PYTHON'
import warnings
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pandas as pd
from autorank import autorank

warnings.simplefilter("ignore")
losses = np.random.default_rng(0).exponential(0.1, 40)
accuracies = pd.DataFrame({"good": 1 - losses / 2, "middle": 1 - losses, "bad": 0.95 - 2 * losses})
assert (accuracies.good > accuracies.middle).all() and (accuracies.middle > accuracies.bad).all()  # on each document
found = {}
for table, order, approach in (
    (accuracies, "descending", "frequentist"),
    (accuracies, "descending", "bayesian"),
    (1 - accuracies, "ascending", "frequentist"),
):
    with redirect_stdout(StringIO()):  # it prints the table
        result = autorank(table, order=order, approach=approach, nsamples=500, random_state=1)
    found[order, approach] = list(result.rankdf.index)
    print(f"autorank 1.3.0, {order}, {approach}: {found[order, approach]}")
    if "meanrank" in result.rankdf:
        print(f"    mean ranks {list(result.rankdf.meanrank)}, effect sizes {[round(float(x), 2) for x in result.rankdf.effect_size]}")
assert found == {
    ("descending", "frequentist"): ["bad", "middle", "good"],
    ("descending", "bayesian"): ["good", "middle", "bad"],
    ("ascending", "frequentist"): ["good", "middle", "bad"],
}, found
PYTHON
echo "as described"
