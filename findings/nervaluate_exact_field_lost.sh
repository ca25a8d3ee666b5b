#!/bin/sh
# Whether a field that was read exactly counts as right in nervaluate 1.2.1 (PyPI), which scores extracted spans, when a longer field
# holds it: a full name, and the surname within it.
#
# Guess, written down before it was run: the strict scheme is that of exact spans and labels, so with the surname exact and the
# full name one character short it is 1 of 2, F1 0.5, in whatever order the fields were written.
# Seen: 0.5 with the surname first, and 0 with the full name first. A predicted span takes the first reference span that it overlaps
# at all (from 1 % on) and keeps it as "incorrect", so that the exact surname behind it finds its own reference gone. The table by
# label has the surname as right, with F1 1, in the same call. Spans that can't overlap (BIO tags) are not concerned.
# So a model's score depends on the order of the keys that it writes. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "nervaluate==1.2.1"
"$folder/venv/bin/python" - <<'PYTHON'
from nervaluate import Evaluator

SURNAME = {"label": "surname", "start": 0, "end": 6}
FULL_NAME = {"label": "full_name", "start": 0, "end": 24}
SHORT = {"label": "full_name", "start": 0, "end": 23}
found = {}
for name, answer in (("surname first", [SURNAME, SHORT]), ("full name first", [SHORT, SURNAME])):
    exact = sum(span in (SURNAME, FULL_NAME) for span in answer)
    by_hand = 2 * exact / (len(answer) + 2)
    results = Evaluator([[SURNAME, FULL_NAME]], [answer], tags=["surname", "full_name"], loader="dict").evaluate()
    strict, label = results["overall"]["strict"], results["entities"]["surname"]["strict"]
    found[name] = (strict.correct, strict.f1, label.f1)
    print(f"nervaluate 1.2.1, {name}: {strict.correct} right, F1 {strict.f1}, of the surname alone {label.f1}; by hand {by_hand}")
    assert by_hand == 0.5
assert found == {"surname first": (1, 0.5, 1.0), "full name first": (0, 0, 1.0)}, found
PYTHON
echo "as described"
