#!/bin/sh
# Whether what lm-format-enforcer 0.11.3 (PyPI) lets a model write is JSON, under a schema with keys that may be left out.
#
# Guess, written down before it was run: what it takes as a whole answer is always valid JSON; its README says that it
# "ensures" the format of the output.
# Seen: {"a":1,} is taken as whole. After a comma it allows the next key, or the end of the object if no required key is
# left. A model that begins another field and then has nothing to say ends with a comma, and json.loads refuses
# the answer. With every key required a comma can't be followed by the end. Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "lm-format-enforcer==0.11.3"
"$folder/venv/bin/python" - <<'PYTHON'
import json

from lmformatenforcer import JsonSchemaParser

PROPERTIES = {"a": {"type": "integer"}, "b": {"type": "integer"}}


def whole(text, required):
    parser = JsonSchemaParser({"type": "object", "properties": PROPERTIES, "required": required})
    for character in text:
        if character not in parser.get_allowed_characters():
            return False
        parser = parser.add_character(character)
    return parser.can_end()


found = {}
for required in ([], ["a"], ["a", "b"]):
    for text in ('{"a":1}', '{"a":1,"b":2}', '{"a":1,}'):
        found[text, len(required)] = whole(text, required)
        print(f"lm-format-enforcer 0.11.3, required {required}: {text} is {'' if found[text, len(required)] else 'not '}a whole answer")
assert found['{"a":1,"b":2}', 0] and found['{"a":1,"b":2}', 2]
assert found['{"a":1,}', 0] and found['{"a":1,}', 1] and not found['{"a":1,}', 2], found
try:
    json.loads('{"a":1,}')
except ValueError as error:
    print(f"json.loads: {error}")
else:
    raise SystemExit("json.loads reads it now")
PYTHON
echo "as described"
