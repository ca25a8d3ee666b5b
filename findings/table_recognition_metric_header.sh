#!/bin/sh
# What TEDS of table-recognition-metric 0.0.6 (PyPI) makes of the words in a table's header.
#
# Guess, written down before it was run: a wrong word in a header cell, <th>, costs what it costs in <td>.
# Seen: nothing. The text of a <th> is never read: with "Дата" and "Сумма" swapped, or both empty, TEDS is 1. If the reference has
# <td> for its header, the same fault costs, and a right answer with <th> loses more than a wrong one with <td>, since the tags differ;
# spans of a <th> (colspan) are not read either. Also seen: without <html><body> around it a table has TEDS 0 beside itself.
# Models write <th> for headers, and so do references in Markdown that were turned into HTML: which column is which, the words
# that tell an amount from a date, isn't tested by this number. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "table-recognition-metric==0.0.6"
"$folder/venv/bin/python" - <<'PYTHON'
from table_recognition_metric import TEDS


def page(header: tuple[str, str], tag: str) -> str:
    """Return a table of one header row of this tag and one row of values."""
    cells = "".join(f"<{tag}>{text}</{tag}>" for text in header)
    return f"<html><body><table><tr>{cells}</tr><tr><td>15.10.2026</td><td>1234,50</td></tr></table></body></html>"


RIGHT, SWAPPED, EMPTY = ("Дата", "Сумма"), ("Сумма", "Дата"), ("", "")
bare = "<table><tr><td>1</td></tr></table>"
wide = page(RIGHT, "th").replace("<th>", '<th colspan="2">')
teds = TEDS()
found = {
    "th swapped": teds(page(SWAPPED, "th"), page(RIGHT, "th")),
    "th empty": teds(page(EMPTY, "th"), page(RIGHT, "th")),
    "th with another colspan": teds(wide, page(RIGHT, "th")),
    "td swapped": teds(page(SWAPPED, "td"), page(RIGHT, "td")),
    "th right, td in the reference": teds(page(RIGHT, "th"), page(RIGHT, "td")),
    "a bare table and itself": teds(bare, bare),
}
for name, value in found.items():
    print(f"table-recognition-metric 0.0.6, {name}: {value:.3f}")
assert {name: round(value, 3) for name, value in found.items()} == {
    "th swapped": 1.0,
    "th empty": 1.0,
    "th with another colspan": 1.0,
    "td swapped": 0.771,
    "th right, td in the reference": 0.714,
    "a bare table and itself": 0.0,
}, found
# By hand: the table has 7 nodes; swapped td cost (1 - 1/5) of a node each, two other tags 2 nodes.
assert abs(found["td swapped"] - (1 - 2 * (1 - 1 / 5) / 7)) < 1e-9
assert abs(found["th right, td in the reference"] - (1 - 2 / 7)) < 1e-9
PYTHON
echo "as described"
