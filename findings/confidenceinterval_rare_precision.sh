#!/bin/sh
# What confidenceinterval 1.0.4 (PyPI) gives for the precision of a rare label, beside scikit-learn 1.9.1, whose "naming
# convention and interface" its README promises.
#
# Guess, written down before it was run: of 10,000 fields 10 are flagged and 9 of them rightly, so precision is 0.9, in an
# interval that 10 flags allow: 0.6 to 0.98.
# Seen: 0.9999 in 0.9997 to 1.0001, an upper end above 1. Where scikit-learn averages nothing of two labels, this counts the
# unflagged fields too (micro average), which is accuracy. recall_score is the same number. average="binary", as in
# scikit-learn, raises an AssertionError unless the method is named as well; ppv_score gives the interval expected.
# So a detector of forged or wrong fields gets near 1 whatever it flags. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "confidenceinterval==1.0.4" "scikit-learn==1.9.1"
"$folder/venv/bin/python" - <<'PYTHON'
import confidenceinterval
import numpy as np
import sklearn.metrics

truth, answers = np.zeros(10_000, int), np.zeros(10_000, int)
answers[:10] = 1
truth[:9] = 1
value, (low, high) = confidenceinterval.precision_score(truth, answers)
expected = sklearn.metrics.precision_score(truth, answers)
ppv, (ppv_low, ppv_high) = confidenceinterval.ppv_score(truth, answers)
print(f"confidenceinterval 1.0.4, precision_score: {value:.4f} in {low:.4f} to {high:.4f}; scikit-learn 1.9.1: {expected:.4f}")
print(f"confidenceinterval 1.0.4, ppv_score: {ppv:.4f} in {ppv_low:.4f} to {ppv_high:.4f}")
assert abs(expected - 0.9) < 1e-9 and abs(value - 0.9999) < 1e-9 and low > 0.999 and high > 1
assert abs(ppv - 0.9) < 1e-6 and 0.55 < ppv_low < 0.65 and 0.97 < ppv_high < 0.99
try:
    confidenceinterval.precision_score(truth, answers, average="binary")
except AssertionError as error:
    print(f'average="binary": AssertionError: {error}'[:100])
else:
    raise SystemExit('average="binary" works now')
PYTHON
echo "as described"
