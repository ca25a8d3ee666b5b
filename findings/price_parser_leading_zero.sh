#!/bin/sh
# What price-parser 0.5.1 (PyPI) reads in the quantities and rates of an invoice with three decimals.
#
# One would expect 0,125 to be 0.125, since no group of thousands begins with 0 (1,125 may be either).
# Guess, written down before it was run: with decimal_separator="," it is read as 0.125.
# Seen: that, and without it 125, and 375 for 0.375: a thousand times as much. 0,5 and 0,25 beside it are read right, so that
# a column of weights holds values of both kinds. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "price-parser==0.5.1"
cat >"$folder/ask.py" <<'PYTHON'
from price_parser import Price

READ = {"0,125": "125", "0.375": "375", "0,5": "0.5", "0,25": "0.25", "0,1255": "0.1255"}
for text, value in READ.items():
    amount = Price.fromstring(text).amount
    print(f"price-parser 0.5.1: {text} is read as {amount}")
    assert str(amount) == value, (text, amount)
assert str(Price.fromstring("0,125", decimal_separator=",").amount) == "0.125"
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
