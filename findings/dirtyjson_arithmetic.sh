#!/bin/sh
# What dirtyjson 1.0.8 (PyPI), a lenient reader of the JSON that models write (llama-index-core depends on it), makes of
# a number with hyphens or a slash that a model left without quotes, as 4508-123456 or 2026-10-15.
#
# One would expect an error, or the text as it stands.
# Seen: it computes. The date 2026-10-15 becomes 2001, the phone 495-123-45-67 becomes 260 and 1/2 becomes 0.5, as valid
# numbers without a word. (With a part that begins with 0, such as 05, it raises an error.) Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "dirtyjson==1.0.8"
cat >"$folder/ask.py" <<'PYTHON'
import dirtyjson

EXPECTED = {"2026-10-15": 2001, "495-123-45-67": 260, "4508-123456": -118948, "1/2": 0.5}
for written, value in EXPECTED.items():
    read = dirtyjson.loads('{"value": ' + written + "}")["value"]
    print(f'dirtyjson 1.0.8: {{"value": {written}}} is read as {read!r}')
    assert read == value, (written, read)
assert dirtyjson.loads('{"value": "2026-10-15"}')["value"] == "2026-10-15"  # in quotes it stays what it is
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
