#!/bin/sh
# What xgrammar 0.2.9 (PyPI), which vLLM and SGLang hold answers to a JSON Schema with, makes of anyOf beside properties:
# "a number, and either a date or a year", as a schema of documents says it.
#
# One would expect both to hold, as llguidance 1.9.1 has it, or anyOf to be left out. Guess, written down before it was run:
# what stands beside anyOf is left out, with a warning as of oneOf and allOf.
# Seen: it is left out without a warning, properties and required alike, so that the branches alone count: what is valid can't
# be written, since the branches know no number, and what lacks the required number passes.
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "xgrammar==0.2.9" "llguidance==1.9.1" "jsonschema==4.26.0"
cat >"$folder/ask.py" <<'PYTHON'
import json

import jsonschema
import llguidance
import xgrammar
from xgrammar.testing import _is_grammar_accept_string

TEXT = {"type": "string"}
SCHEMA = {
    "type": "object",
    "properties": {"number": TEXT},
    "required": ["number"],
    "anyOf": [
        {"properties": {"date": TEXT}, "required": ["date"]},
        {"properties": {"year": TEXT}, "required": ["year"]},
    ],
}
written = json.dumps(SCHEMA)
of_xgrammar = xgrammar.Grammar.from_json_schema(written)
tokens = llguidance.LLTokenizer("byte")
of_llguidance = llguidance.LLMatcher.grammar_from_json_schema(written)


def allows(answer):
    matcher, ids = llguidance.LLMatcher(tokens, of_llguidance), tokens.tokenize_str(answer)
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


found = []
for answer in ('{"number": "7", "date": "1 May"}', '{"date": "1 May"}'):
    valid = jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(answer))
    found.append((valid, allows(answer), _is_grammar_accept_string(of_xgrammar, answer)))
    print(f"{answer}: valid {valid}, allowed by llguidance 1.9.1 {found[-1][1]}, by xgrammar 0.2.9 {found[-1][2]}")
assert found == [(True, True, False), (False, False, True)], found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
