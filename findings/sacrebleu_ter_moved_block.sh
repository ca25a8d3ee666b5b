#!/bin/sh
# What TER of sacrebleu 2.6.0 (PyPI) charges for a block of text that stands at another place, as a column or a paragraph
# that was read too early.
#
# Guess, written down before it was run: one edit, of 12 words as of 2. By the paper of TER (Snover et al. 2006) all edits, shifts of
# any number of words by any distance among them, cost the same.
# Seen: two swapped blocks of 2 and 3 words cost 1, of 12 words each 2, and of 60 words each 120: a TER of 100, as if no word
# were right. A shift moves at most 10 words over at most 50 (limits of the program tercom, against its running time), and
# what is beyond is deleted and inserted anew. So TER of a page doesn't tell a wrong order from wrong words, for which it was made.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "sacrebleu==2.6.0"
"$folder/venv/bin/python" - <<'PYTHON'
from sacrebleu.metrics import TER


def words(letter, number):
    return " ".join(f"{letter}{i}" for i in range(number))


found = []
for first, second in ((2, 3), (12, 12), (60, 60)):
    one, other = words("a", first), words("b", second)
    score = TER().sentence_score(f"{other} {one}", [f"{one} {other}"])
    found.append((round(score.num_edits), round(score.score)))
    print(f"sacrebleu 2.6.0, blocks of {first} and {second} words swapped: {score.num_edits} edits, TER {score.score:.1f}")
assert found == [(1, 20), (2, 8), (120, 100)], found
PYTHON
echo "as described"
