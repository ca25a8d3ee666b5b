#!/bin/sh
# What dinglehopper 0.11.0 (PyPI), which evaluates OCR, reads in an ALTO file where a word is parted at the end of a line.
#
# Guess, written down before it was run: the text with the hyphen, "дого-" and "вору" below it, as ALTO's element HYP ("a
# hyphenation char") stands there for it, and as the same page reads in PAGE-XML or as plain text.
# Seen: the hyphen is left out, and the halves stay halves: "дого" and "вору". Neither the printed page nor, as SUBS_CONTENT gives it,
# the word. An OCR engine that is right, with its answer in ALTO, has one wrong character for each line that ends so,
# against a reference in plain text or PAGE-XML; one that misses every hyphen has no more. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dinglehopper==0.11.0"
cat >"$folder/page.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<alto xmlns="http://www.loc.gov/standards/alto/ns-v3#"><Layout><Page ID="p"><PrintSpace><TextBlock ID="b">
<TextLine ID="l1"><String CONTENT="по"/><SP/><String CONTENT="дого" SUBS_TYPE="HypPart1" SUBS_CONTENT="договору"/><HYP CONTENT="-"/></TextLine>
<TextLine ID="l2"><String CONTENT="вору" SUBS_TYPE="HypPart2" SUBS_CONTENT="договору"/><SP/><String CONTENT="от"/></TextLine>
</TextBlock></PrintSpace></Page></Layout></alto>
XML
printf 'по дого-\nвору от' >"$folder/page.txt"
cat >"$folder/ask.py" <<'PYTHON'
import sys

from dinglehopper.character_error_rate import character_error_rate_n
from dinglehopper.ocr_files import extract

from_alto, from_text = extract(sys.argv[1]), extract(sys.argv[2])
print(f"dinglehopper 0.11.0 reads {from_alto.text!r} in ALTO and {from_text.text!r} in plain text")
cer, length = character_error_rate_n(from_text, from_alto)
print(f"CER {cer:.4f} over {length} characters")
assert from_alto.text == "по дого\nвору от" and from_text.text == "по дого-\nвору от"
assert abs(cer - 1 / length) < 1e-9
PYTHON
"$folder/venv/bin/python" "$folder/ask.py" "$folder/page.xml" "$folder/page.txt"
echo "as described"
