#!/bin/sh
# What anls-star 1.0.1 (PyPI), which the authors of ANLS* publish, makes of a null under a key that the reference lacks,
# and of the order of a list's items.
#
# One would expect {"a": "x", "b": null} to score 1 against {"a": "x"}: the code skips such keys on purpose
# (`is_hallucinated_none_key`), and the other way round, a null of the reference that the answer lacks, is 1.
# Guess, written down before it was run, from its source: 0.5, since the key is skipped among the similarities
# (`nls_list`) and still counted in the length (`pairwise_len`).
# Seen: 0.5. Each null that a schema makes a model write beyond the reference costs as much as a wrong value.
# So answers that are held to a schema, and write every key of it, score lower than free ones that say the same.
# Also seen: the README says "the order is not important" of lists, but where pairings are equally good and the items
# differ in size, the score depends on the order of the answer's items.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "anls-star==1.0.1"
cat >"$folder/ask.py" <<'PYTHON'
import itertools

from anls_star import anls_score

NULL = [({"a": "x"}, {"a": "x"}), ({"a": "x", "b": None}, {"a": "x"}), ({"a": "x"}, {"a": "x", "b": None})]
seen = [anls_score(reference, answer) for reference, answer in NULL]
for (reference, answer), value in zip(NULL, seen):
    print(f"reference {reference}, answer {answer}: {value}")
REFERENCE = [None, None]
ANSWER = [[["", None]], {"x": []}, None]
orders = {anls_score(REFERENCE, list(order)) for order in itertools.permutations(ANSWER)}
print(f"reference {REFERENCE}, answer {ANSWER} in each order: {sorted(orders)}")
assert seen == [1.0, 1.0, 0.5], seen
assert len(orders) > 1, orders
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
