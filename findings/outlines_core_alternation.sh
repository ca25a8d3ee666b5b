#!/bin/sh
# What outlines-core 0.2.14 (PyPI), the engine of Outlines, which vLLM can hold answers to a JSON Schema with, lets a model write
# under a pattern of two words, "руб|долл".
#
# Guess, written down before it was run: what its regular expression takes is always JSON (what allows a bare quote aside).
# Seen: neither "руб" nor "долл" can be written, since the expression is ("руб|долл"): the words stand in it without brackets,
# so that one of them has the opening quote alone and the other the closing one. The whole answers are {"currency":"руб,"sum":1}
# and {"currency":долл","sum":1}, which json.loads refuses. With (руб|долл) both are right; "^руб$|^долл$" keeps $ and ^ inside.
# So a schema that jsonschema takes makes every answer unreadable, and the model, that was never asked, looks like one that can't
# write JSON. Fails where that changes.
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

ANSWERS = ('{"currency":"руб","sum":1}', '{"currency":"долл","sum":1}', '{"currency":"руб,"sum":1}', '{"currency":долл","sum":1}')
TOKENS = sorted(set("".join(ANSWERS)))  # one token a character
vocabulary = Vocabulary(len(TOKENS), {token: [number] for number, token in enumerate(TOKENS)})


def is_taken(index: Index, answer: str) -> bool:
    """Return whether a model that is held by this index can write the answer and end there."""
    state = index.get_initial_state()
    for character in answer:
        token = TOKENS.index(character)
        transitions = index.get_transitions().get(state, {})
        if token not in transitions:
            return False
        state = transitions[token]
    return index.is_final_state(state)


def is_valid(schema: dict[str, object], answer: str) -> bool:
    """Return whether the answer is JSON and follows the schema."""
    try:
        jsonschema.validate(json.loads(answer), schema)
    except ValueError:  # not JSON
        return False
    return True


found = {}
for pattern in ("руб|долл", "(руб|долл)"):
    fields = {"currency": {"type": "string", "pattern": pattern}, "sum": {"type": "integer"}}
    schema = {"type": "object", "properties": fields, "required": ["currency", "sum"]}
    expression = build_regex_from_schema(json.dumps(schema, ensure_ascii=False))
    index = Index(expression, vocabulary)
    found[pattern] = [is_taken(index, answer) for answer in ANSWERS]
    print(f"outlines-core 0.2.14, {pattern}: {expression}")
    for answer, taken in zip(ANSWERS, found[pattern], strict=True):
        print(f"    {answer} can be written: {taken}; valid by jsonschema 4.26.0: {is_valid(schema, answer)}")
    assert [is_valid(schema, answer) for answer in ANSWERS] == [True, True, False, False]
assert found == {"руб|долл": [False, False, True, True], "(руб|долл)": [True, True, False, False]}, found
PYTHON
echo "as described"
