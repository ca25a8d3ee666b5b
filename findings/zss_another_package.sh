#!/bin/sh
# What zss 1.2.0 (PyPI), a tree edit distance, says of two trees of two nodes, with and without an unrelated package.
#
# Guess, written down before it was run: 2, one for each renamed node, as Zhang and Shasha's unit costs have it, and
# whether editdistance 0.8.1 is installed changes nothing.
# Seen: 2 without it and 5 with it. Where that package can be imported, the cost of a renamed node is the edit distance of
# its labels, and that of a node added or removed is the length of its label; else each costs 1. editdistance is a
# common package, and nothing need name it. So the same code gives other numbers on another machine, and they can't be normalised by the
# number of nodes. The docstring says "by default, this is string edit distance (if available)". Naming label_dist avoids it.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/ask.py" <<'PYTHON'
import sys

import zss

one = zss.Node("abcd", [zss.Node("efgh")])
other = zss.Node("abcx", [zss.Node("qrst")])
named = zss.simple_distance(one, other, label_dist=lambda a, b: int(a != b))
print(f"zss 1.2.0, {sys.argv[1]} editdistance: {zss.simple_distance(one, other)}; with label_dist named: {named}")
assert zss.simple_distance(one, other) == int(sys.argv[2]) and named == 2
PYTHON
"$folder/venv/bin/pip" install --quiet "zss==1.2.0" "six"
"$folder/venv/bin/python" "$folder/ask.py" without 2
"$folder/venv/bin/pip" install --quiet "editdistance==0.8.1"
"$folder/venv/bin/python" "$folder/ask.py" with 5
echo "as described"
