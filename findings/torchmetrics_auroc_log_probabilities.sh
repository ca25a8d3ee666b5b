#!/bin/sh
# What binary_auroc of torchmetrics 1.9.0 (PyPI) says of the log-probability of whole answers, as a measure of how well it
# tells right answers from wrong ones. A text of 30 to 100 tokens has a log-probability of -20 to -120.
#
# One would expect 1 where all right answers rank above all wrong ones: AUROC depends on ranks alone, and any
# increasing function of the scores leaves it as it is.
# Guess, written down before it was run: in float64 it is 1.
# Seen: 1 in float64 and 0.5, pure chance, in float32. Scores outside 0 to 1 are taken for logits, and their sigmoid, in
# float32, is the same number for all of these. So one and the same confidence is perfect or worthless by its dtype;
# scores that differ less lose a part of their ranks. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torchmetrics==1.9.0"
cat >"$folder/ask.py" <<'PYTHON'
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

scores, right = [-120.0, -110.0, -100.0, -90.0], torch.tensor([0, 0, 1, 1])
found = {}
for dtype in (torch.float32, torch.float64):
    given = torch.tensor(scores, dtype=dtype)
    found[dtype] = float(binary_auroc(given, right)), float(binary_average_precision(given, right))
    print(f"torchmetrics 1.9.0, {dtype}: AUROC {found[dtype][0]}, average precision {found[dtype][1]}")
mapped = float(binary_auroc((torch.tensor(scores) / 1000).exp(), right))
print(f"float32, the same ranks within 0 to 1: AUROC {mapped}")
assert found[torch.float32] == (0.5, 0.5) and found[torch.float64] == (1.0, 1.0) and mapped == 1.0, found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
