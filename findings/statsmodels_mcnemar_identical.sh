#!/bin/sh
# What McNemar's test of statsmodels 0.15.0 (PyPI) says of two systems that answer every question alike.
#
# Guess, written down before it was run: p is 1, or nan since there is nothing to test.
# Seen: it depends on two arguments. The exact test, the default, says 1. With exact=False, the approximation
# for large samples, and the continuity correction, which is on by default, it says p = 0 (|0 - 0| - 1 is
# squared and divided by 0): the most significant difference there can be, between a system and itself. Without
# the correction it is nan. The correction also keeps 3 gained and 3 lost from being p = 1.
# Whoever compares many checkpoints and switches to exact=False for size gets this where nothing changed.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "statsmodels==0.15.0"
cat >"$folder/ask.py" <<'PYTHON'
import math
import warnings

from statsmodels.stats.contingency_tables import mcnemar

warnings.simplefilter("ignore")  # a RuntimeWarning of a division by zero
ALIKE = [[900, 0], [0, 100]]
exact, default = mcnemar(ALIKE).pvalue, mcnemar(ALIKE, exact=False).pvalue
without = mcnemar(ALIKE, exact=False, correction=False).pvalue
even = mcnemar([[900, 3], [3, 100]], exact=False).pvalue
print(f"statsmodels 0.15.0, 1000 equal answers: exact {exact}, exact=False {default}, and correction=False {without}")
print(f"3 gained and 3 lost, exact=False: {even:.3f}")
assert exact == 1 and default == 0 and math.isnan(without) and even < 0.7, (exact, default, without, even)
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
