#!/bin/sh
# How large autorank 1.3.0 (PyPI) calls the difference of two systems that read more than half of the documents perfectly.
#
# Guess, written down before it was run: negligible. 28 of 40 documents have a score of 1 by both, and on the other 12 one system is
# 0.001 lower. Where no size can be computed, a nan and no word for it.
# Seen: "large", and its report says in words that one system is "significantly larger" with "a large effect size (gamma=nan)".
# Its effect size for scores that are not normal divides by the median absolute deviation, which is 0 as soon as more than half
# of the scores are equal; the nan is below none of the limits (0.2, 0.5, 0.8) and so falls to the last word. A system
# beside itself is "large" as well. effect_size="cohen_d" and "cliff_delta" say negligible. Since both medians are 1, the report also
# takes the lower system, whose row comes first, for the larger one.
# So the better the readers, the surer a difference of nothing is called large. Fails where that changes.
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
from autorank import autorank, create_report

warnings.simplefilter("ignore")
read = np.concatenate([np.ones(28), np.linspace(0.5, 0.94, 12)])
lower = np.concatenate([read[:28], read[28:] - 0.001])
found = {}
for name, other, method in (
    ("0.001 lower on 12 of 40", lower, None),
    ("0.001 lower on 12 of 40", lower, "cohen_d"),
    ("0.001 lower on 12 of 40", lower, "cliff_delta"),
    ("equal", read.copy(), None),
):
    report = StringIO()
    with redirect_stdout(report):
        result = autorank(pd.DataFrame({"system": read, "other": other}), effect_size=method)
        if method is None and name != "equal":
            create_report(result)
    found[name, method] = result.rankdf.magnitude.iloc[1]
    print(f"autorank 1.3.0, {name}, effect size {method or 'by default'}: {result.rankdf.effect_size.iloc[1]}, {found[name, method]}")
    if "large effect size" in report.getvalue():
        print("    its report:", report.getvalue().strip().rsplit("Therefore, ", 1)[1])
        found["report"] = "the median of other is significantly larger than the median value of system with a large effect size (gamma=nan)"
        assert found["report"] in report.getvalue()
assert found == {
    ("0.001 lower on 12 of 40", None): "large",
    ("0.001 lower on 12 of 40", "cohen_d"): "negligible",
    ("0.001 lower on 12 of 40", "cliff_delta"): "negligible",
    ("equal", None): "large",
    "report": "the median of other is significantly larger than the median value of system with a large effect size (gamma=nan)",
}, found
PYTHON
echo "as described"
