#!/bin/sh
# What the standard error of torchmetrics 1.9.0 (PyPI), BootStrapper(sampling_strategy="multinomial"), depends on.
#
# One would expect: on the samples alone, 0.11 for ten right and ten wrong answers, however many of
# them a call of update brings.
# Seen: on the size of the batches. It resamples within each call. With one answer a call, as a generating model gives
# them, nothing is left to draw from and the standard error is exactly 0; in batches that are each all right or all wrong
# it is 0 too. The default, "poisson", is right in each case. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "torchmetrics==1.9.0"
cat >"$folder/ask.py" <<'PYTHON'
import torch
from torchmetrics import MeanMetric
from torchmetrics.wrappers import BootStrapper

answers = torch.tensor([0.0] * 10 + [1.0] * 10)


def error(strategy, size):
    torch.manual_seed(0)
    metric = BootStrapper(MeanMetric(), num_bootstraps=400, mean=True, std=True, sampling_strategy=strategy)
    for batch in answers.split(size):
        metric.update(batch)
    return float(metric.compute()["std"])


found = {(strategy, size): error(strategy, size) for strategy in ("poisson", "multinomial") for size in (20, 10, 1)}
for (strategy, size), value in found.items():
    print(f"torchmetrics 1.9.0, {strategy}, batches of {size}: standard error {value:.3f}")
right = [found[key] for key in found if key != ("multinomial", 10) and key != ("multinomial", 1)]
assert all(abs(value - 0.112) < 0.025 for value in right), found
assert found["multinomial", 10] < 1e-6 and found["multinomial", 1] < 1e-6, found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
