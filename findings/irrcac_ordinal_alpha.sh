#!/bin/sh
# What irrCAC 0.4.4 (PyPI) gives as Krippendorff's alpha of ordinal grades, beside krippendorff 0.9.0. The grades are the
# example of Krippendorff's own paper "Computing Krippendorff's Alpha-Reliability" (2011), which gives 0.815, and eight pages by three judges.
#
# Guess, written down before it was run: the same alpha, with missing grades too, for nominal and for ordinal grades.
# Seen: nominal ones agree. For ordinal ones irrCAC has weights of its own (Gwet's, from the ranks of the grades alone),
# and not Krippendorff's difference, which counts how often each grade was given: 0.834 in place of 0.815 in his
# example, and 0.296 in place of 0.202 for the judges. Both are called Krippendorff's alpha.
# So a threshold, as his 0.667, means another thing in each. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "irrCAC==0.4.4" "krippendorff==0.9.0"
"$folder/venv/bin/python" - <<'PYTHON'
import krippendorff
import numpy as np
import pandas as pd
from irrCAC.raw import CAC

N = np.nan
PAPER = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
SKEWED = np.array([[1, 1, 5], [1, 2, 1], [2, 1, 1], [1, 1, 1], [5, 4, 5], [1, 1, 2], [1, 5, 1], [1, 1, 1]], float).T
found = {}
for name, grades in (("paper", PAPER), ("skewed", SKEWED)):
    for level, weights in (("nominal", "identity"), ("ordinal", "ordinal")):
        one = krippendorff.alpha(grades, level_of_measurement=level)
        other = CAC(pd.DataFrame(grades.T), weights=weights).krippendorff()["est"]["coefficient_value"]
        found[name, level] = (round(one, 3), round(other, 3))
        print(f"{name}, {level}: krippendorff 0.9.0 {one:.4f}, irrCAC 0.4.4 {other:.4f}")
assert found["paper", "nominal"] == (0.743, 0.743), found
assert found["paper", "ordinal"] == (0.815, 0.834), found
assert found["skewed", "ordinal"] == (0.202, 0.296), found
PYTHON
echo "as described"
