#!/bin/sh
# What edit_distance of nltk 3.10.4 (PyPI) gives for the text of a whole page, as benchmarks of page OCR ask it: 1 - edits /
# length is a part of the score of MWS-Vision-Bench, and of others that took it over from the same place.
#
# Guess, written down before it was run: a number, slowly, since it is Python over a table of 2,000 x 2,000.
# Seen: from 2,001 characters on it raises a ValueError, whatever the texts are, and 3.9.2 computes it. So an evaluation
# that ran for short pages stops at the first long one, or scores it as a failure where errors are caught, after nothing
# but an update of the package. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/ask.py" <<'PYTHON'
import sys

import nltk

page = "Акт сверки взаимных расчётов. " * 67
given = page[:2001]
try:
    said = nltk.edit_distance(given, given[:-1])
except ValueError as error:
    said = "ValueError"
    print(error)
print(f"nltk {nltk.__version__}, 2,001 and 2,000 characters: {said}")
assert said == {"3.9.2": 1, "3.10.4": "ValueError"}[nltk.__version__], said
assert nltk.edit_distance(given[:200], given[:199]) == 1
PYTHON
for version in 3.9.2 3.10.4; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "nltk==$version"
  "$folder/$version/bin/python" "$folder/ask.py"
done
