#!/bin/sh
# What guidellm 0.8.1 (PyPI) gives as the median of a few latencies, from the class that all its reports are made of.
#
# Guess, written down before it was run: 2.5 for 1, 2, 3 and 4, as of numpy, and percentiles between two values as numpy has them.
# Seen: 2. No value lies between two: it is the first one at which the cumulated shares reach a half. Since these shares are
# summed in binary fractions, it is the lower one of the two middle values for 4 latencies and the upper one for 20:
# 1, 2, ... 20 have the median 11. p95 of four values is the largest.
# So two benchmarks of the same latencies, beside one that takes numpy's, differ in the median as much as neighbours do, and the
# sign depends on the number of requests. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "guidellm==0.8.1"
"$folder/venv/bin/python" - <<'PYTHON'
import statistics

from guidellm.schemas.base.statistics import DistributionSummary

found = {}
for number in (2, 4, 10, 20, 40):
    values = [float(n) for n in range(1, number + 1)]
    found[number] = DistributionSummary.from_values(values).median
    print(f"guidellm 0.8.1, 1 to {number}: median {found[number]}, of Python's statistics {statistics.median(values)}")
assert found[2] == 1 and found[4] == 2, found
assert found[20] == 11, found
PYTHON
echo "as described"
