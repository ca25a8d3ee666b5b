#!/bin/sh
# What xgrammar 0.2.9 (PyPI), which vLLM and SGLang hold answers to a JSON Schema with, lets a model write under a pattern
# with a dot: company names, which hold quotes.
#
# One would expect that under "^A .+$" and "^А .+$" a quote may be written, escaped as JSON wants it (A \"b\"), and never
# bare. Guess, written down when the first had refused the escaped one: no pattern allows it.
# Seen: neither. With letters of ASCII alone in the pattern no quote can be written at all, so that the model must write
# another name. With one letter beyond ASCII (here Cyrillic А) the dot takes a bare quote, a bare line end and a backslash
# before any letter: the answer follows the grammar and is not JSON. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "xgrammar==0.2.9"
cat >"$folder/ask.py" <<'PYTHON'
import json

import xgrammar
from xgrammar.testing import _is_grammar_accept_string

WRITTEN = {"escaped quotes": r'\"b\"', "bare quotes": '"b"', "line end": "b\nb", "no such escape": r"\qb"}
found = {}
for script, letter in (("Latin", "A"), ("Cyrillic", "\u0410")):
    schema = json.dumps({"type": "string", "pattern": f"^{letter} .+$"}, ensure_ascii=False)
    grammar = xgrammar.Grammar.from_json_schema(schema)
    assert _is_grammar_accept_string(grammar, f'"{letter} b"')
    for what, text in WRITTEN.items():
        answer = f'"{letter} {text}"'
        try:
            is_json = bool(json.loads(answer))
        except ValueError:
            is_json = False
        found[script, what] = _is_grammar_accept_string(grammar, answer)
        print(f"xgrammar 0.2.9, {script} letter in the pattern, {what}: JSON {is_json}, allowed {found[script, what]}")
assert not any(found["Latin", what] for what in WRITTEN), found
assert all(found["Cyrillic", what] for what in WRITTEN), found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
