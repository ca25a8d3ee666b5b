#!/bin/sh
# What textdistance 4.6.3 (PyPI) says of two equal texts, by each of its measures.
#
# Guess, written down before it was run: normalized_similarity of a text and itself is 1 for every measure. The README
# says of it "a float between 0 and 1, where 0 means totally different, and 1 equal".
# Seen: for tanimoto it is 0 where the texts are equal, below 0 where they differ, and -inf where they share no letter. It
# is the logarithm of Jaccard's index, and "normalized" changes nothing in it; normalized_distance of equal texts is 1.
# So a loop over the package's measures, or a threshold on one, takes equal texts for different ones. Fails where that
# changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "textdistance==4.6.3"
"$folder/venv/bin/python" - <<'PYTHON'
import textdistance

PAIRS = (("Москва", "Москва"), ("Москва", "Маскава"), ("abc", "xyz"))
found = [
    (round(textdistance.tanimoto.normalized_similarity(*pair), 3), round(textdistance.jaccard.normalized_similarity(*pair), 3))
    for pair in PAIRS
]
for pair, (tanimoto, jaccard) in zip(PAIRS, found):
    print(f"textdistance 4.6.3, {pair}: normalized_similarity of tanimoto {tanimoto}, of jaccard {jaccard}")
assert found == [(0, 1), (-0.678, 0.625), (float("-inf"), 0)], found
assert textdistance.tanimoto.normalized_distance("Москва", "Москва") == 1
PYTHON
echo "as described"
