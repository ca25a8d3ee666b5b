#!/bin/sh
# What outlines-core 0.2.14 (PyPI), the engine of Outlines, which vLLM can hold answers to a JSON Schema with, makes of allOf: a
# schema of documents in which an invoice has all that a document has, and a number of digits that also has a length.
#
# Guess, written down before it was run: an error that says it isn't supported, or the two merged.
# Seen: one after the other. For two objects the model must write {"date":1}{"sum":2}, and may not write {"date":1,"sum":2}; for a string
# of digits with a length of 10 to 12 it must write two strings, "1""7707083893". Neither is JSON. There is no error and no warning.
# So a schema with a part that is shared through allOf, which jsonschema takes, makes every answer unreadable. Fails where that
# changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "outlines-core==0.2.14" "jsonschema==4.26.0"
"$folder/venv/bin/python" - <<'PYTHON'
import json

import jsonschema
from outlines_core import Index, Vocabulary
from outlines_core.json_schema import build_regex_from_schema


def is_taken(schema: dict[str, object], answer: str) -> bool:
    """Return whether a model that is held to the schema can write the answer, a token a character, and end there."""
    tokens = sorted(set(answer))
    vocabulary = Vocabulary(len(tokens), {token: [number] for number, token in enumerate(tokens)})
    index = Index(build_regex_from_schema(json.dumps(schema)), vocabulary)
    state = index.get_initial_state()
    for character in answer:
        transitions = index.get_transitions().get(state, {})
        if tokens.index(character) not in transitions:
            return False
        state = transitions[tokens.index(character)]
    return index.is_final_state(state)


def is_valid(schema: dict[str, object], answer: str) -> bool:
    """Return whether the answer is JSON and follows the schema."""
    try:
        jsonschema.validate(json.loads(answer), schema)
    except ValueError:  # not JSON
        return False
    return True


document = {"type": "object", "properties": {"date": {"type": "integer"}}, "required": ["date"]}
invoice = {"allOf": [document, {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}]}
digits = {"allOf": [{"type": "string", "pattern": "^[0-9]+$"}, {"type": "string", "minLength": 10, "maxLength": 12}]}
found = []
for schema, answer in (
    (invoice, '{"date":1,"sum":2}'),
    (invoice, '{"date":1}{"sum":2}'),
    (digits, '"7707083893"'),
    (digits, '"1""7707083893"'),
):
    found.append((is_taken(schema, answer), is_valid(schema, answer)))
    print(f"outlines-core 0.2.14, {answer}: can be written {found[-1][0]}; valid by jsonschema 4.26.0: {found[-1][1]}")
assert found == [(False, True), (True, False)] * 2, found
PYTHON
echo "as described"
