#!/bin/sh
# What math-verify 0.9.0 (PyPI), which leaderboards compare answers with numbers by, makes of answers read from a document.
#
# Guess, written down before it was run: a date doesn't equal the number 2001, and a decimal comma isn't read (12,5 is not 12.5).
# Seen: 12,5 is 12.5. The date 2026-10-15 is computed and equals 2001 and each date with the same difference (2025-10-14),
# and of 15.10.2026 what follows the second point is left out, so that it equals 15.10.1999. With a space between
# thousands an amount loses its kopecks: 1 234,50 equals 1 234,99 and differs from 1234.50.
# So a wrong year or wrong kopecks count as right. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "math-verify[antlr4-13-2]==0.9.0"
"$folder/venv/bin/python" - <<'PYTHON'
from math_verify import parse, verify

EXPECTED = {
    ("12.5", "12,5"): True,
    ("2026-10-15", "2001"): True,
    ("2026-10-15", "2025-10-14"): True,
    ("15.10.2026", "15.10.1999"): True,
    ("1 234,50", "1 234,99"): True,
    ("1234.50", "1 234,50"): False,
}
for (gold, answer), expected in EXPECTED.items():
    found = verify(parse(gold), parse(answer))
    print(f"math-verify 0.9.0, {answer!r} for {gold!r}: {found}")
    assert found == expected, (gold, answer, found)
PYTHON
echo "as described"
