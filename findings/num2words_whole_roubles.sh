#!/bin/sh
# What num2words 0.5.14 (PyPI), with which amounts of Russian documents are written out in words (for references, and for
# documents that are made), makes of the amounts of a JSON file: 1234, 1234.0 and 1234.5.
#
# Guess, written down before it was run: 1234 is 1,234 roubles, as 1234.0 is.
# Seen: 1234 is 12 roubles and 34 kopecks, and a million is ten thousand. An int is taken for the smallest unit, a float, a Decimal and
# a text for roubles. JSON reads an amount without kopecks as an int and one with kopecks as a float, so that in one column
# the whole amounts are a hundredth and the others are right. The README says nothing of it.
# So a model that reads the amount in words rightly is judged by a reference a hundred times too small. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "num2words==0.5.14"
"$folder/venv/bin/python" - <<'PYTHON'
import json

from num2words import num2words

found = {}
for text in ("1234", "1234.0", "1234.5", '"1234"', "1000000"):
    amount = json.loads(text)
    found[text] = num2words(amount, lang="ru", to="currency", currency="RUB")
    print(f"num2words 0.5.14, {text} ({type(amount).__name__}): {found[text]}; as a number: {num2words(amount, lang='ru')}")
assert found == {
    "1234": "двенадцать рублей, тридцать четыре копейки",
    "1234.0": "одна тысяча двести тридцать четыре рубля, ноль копеек",
    "1234.5": "одна тысяча двести тридцать четыре рубля, пятьдесят копеек",
    '"1234"': "одна тысяча двести тридцать четыре рубля, ноль копеек",
    "1000000": "десять тысяч рублей, ноль копеек",
}, found
PYTHON
echo "as described"
