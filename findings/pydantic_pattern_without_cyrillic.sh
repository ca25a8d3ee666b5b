#!/bin/sh
# What \w means on the way from a pydantic model to the grammar that an answer is held to: pydantic 2.14.4, jsonschema
# 4.26.0, and llguidance 1.9.1, which vLLM, SGLang and our HF engine can hold answers with (all PyPI).
#
# Guess, written down before it was run: \w takes Cyrillic letters in all of them, as in Python's re.
# Seen: pydantic and jsonschema take them, and the grammar made of the same model's schema takes ASCII alone, as
# ECMAScript's expressions do. So a model that is held to "^\w+$" can't write a Russian name: it must transliterate it or
# write something else, and the answer still passes every check. [\w-] and keys (patternProperties) are no better;
# \p{L}, with which it works, jsonschema can't read. xgrammar 0.2.9 has \w the same way (seen, not run here).
# Fails where that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "llguidance==1.9.1" "pydantic==2.14.4" "jsonschema==4.26.0"
cat >"$folder/ask.py" <<'PYTHON'
import json
from typing import Annotated

import jsonschema
import llguidance
from pydantic import Field, TypeAdapter, ValidationError

tokens = llguidance.LLTokenizer("byte")


def of_pydantic(adapter, value):
    try:
        return adapter.validate_python(value) == value
    except ValidationError:
        return False


def of_jsonschema(schema, value):
    try:
        return jsonschema.Draft202012Validator(schema).is_valid(value)
    except Exception as error:  # re.error: "bad escape"
        return type(error).__name__


def of_llguidance(schema, value):
    matcher = llguidance.LLMatcher(tokens, llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    ids = tokens.tokenize_str(json.dumps(value, ensure_ascii=False))
    return matcher.try_consume_tokens(ids) == len(ids) and matcher.is_accepting()


found = {}
for pattern in (r"^\w+$", r"^[\w-]+$", r"^\p{L}+$"):
    adapter = TypeAdapter(Annotated[str, Field(pattern=pattern)])
    schema = adapter.json_schema()
    for name in ("Smirnova", "\u0421\u043c\u0438\u0440\u043d\u043e\u0432\u0430"):
        said = of_pydantic(adapter, name), of_jsonschema(schema, name), of_llguidance(schema, name)
        found[pattern, name.isascii()] = said
        print(f"{pattern}, {name}: pydantic {said[0]}, jsonschema {said[1]}, llguidance {said[2]}")
for pattern in (r"^\w+$", r"^[\w-]+$"):
    assert found[pattern, True] == (True, True, True), found
    assert found[pattern, False] == (True, True, False), found
assert [found[r"^\p{L}+$", ascii_][::2] for ascii_ in (True, False)] == [(True, True)] * 2, found
assert isinstance(found[r"^\p{L}+$", False][1], str), found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
