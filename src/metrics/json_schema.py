"""JSON Schemas of what is to be extracted: which keys there are, of which types, which are lists, which may be absent.

    {"type": "object", "required": ["номер"], "properties": {
        "номер": {"type": "string"},
        "дата": {"type": "string", "format": "date"},
        "позиции": {"type": "array", "items": {"type": "object", "properties": {"цена": {"type": "number"}}}}}}
    ->  номер, дата (a date), позиции[].цена (an amount)

The package jsonschema validates (JSON Schema 2020-12, or the draft that `$schema` names). Nothing is fetched: a `$ref`
must lead to another part of the file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_PARTS = ("anyOf", "oneOf", "allOf")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")  # whose own keys are names, and not keywords


class SchemaError(ValueError):
    """A file or mapping is no JSON Schema of keys; the message says why and where."""


@dataclass(slots=True)
class Node:
    """What a schema says of one place. `keys` of an object and `items` of a list are None for a single value.

    `kind` is the kind of a value (`metrics.fields`) that its type means: `amount` for numbers, `date` for the format
    date. `is_open`: keys that the schema doesn't name are allowed by it in words.
    """

    keys: dict[str, Node] | None = None
    required: set[str] = field(default_factory=set)
    items: Node | None = None
    kind: str = ""
    is_open: bool = False
    is_known: bool = True


@dataclass(frozen=True)
class Breach:
    """An error of a JSON value: the keys and numbers of list items that lead to its place, and jsonschema's words."""

    place: tuple[str | int, ...]
    message: str
    _there: Any

    def allows(self, other: Any) -> bool:
        """Whether another JSON value could stand there."""
        return bool(self._there.is_valid(_plain(other)))


@dataclass(frozen=True)
class JsonSchema:
    """A checked schema. `name` is the file for messages; `digest` names its content."""

    name: str
    content: Mapping[str, Any]
    root: Node

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that name the content, whatever its layout."""
        text = json.dumps(self.content, ensure_ascii=False)
        return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()

    def keys(self) -> dict[str, str]:
        """Return the kind of each key that holds a value; keys are written as in metrics.extraction."""
        return dict(_keys(self.root, ""))

    def unlike(self, value: Any) -> str:
        """Say in what the keys of a JSON value, a reference, are not those of the schema; empty where they are."""
        return "; ".join(_unlike(self.root, value, ""))

    def filled(self, value: Any) -> Any:
        """Return a JSON value with a null under each key that the schema has and the value lacks."""
        return _filled(self.root, value)

    def error(self, value: Any) -> str:
        """Return the first error of a JSON value, in jsonschema's words and with its place; empty if it is valid."""
        error = next(self._validator().iter_errors(_plain(value)), None)
        if error is None:
            return ""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
        place = "".join(steps).removeprefix(".") or "the answer"
        return f"{place}: {error.message[:200]}"

    def breaches(self, value: Any) -> list[Breach]:
        """Return each error of a JSON value. Formats count, as engines hold answers to them."""
        strict = self._validator().evolve(format_checker=self._validator().FORMAT_CHECKER)
        return [
            Breach(tuple(error.absolute_path), error.message[:200], strict.evolve(schema=error.schema))
            for error in strict.iter_errors(_plain(value))
        ]

    def _validator(self) -> Any:
        made = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = _validator(self.content)
        return made


def load(given: str | Path | Mapping[str, Any]) -> JsonSchema:
    """Return the schema in a file, or in a mapping of the configuration. Raise SchemaError."""
    if isinstance(given, Mapping):
        return _checked("the schema", dict(given))
    path = Path(given)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SchemaError(f"{given} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SchemaError(f"{given} is not JSON: {error}") from error
    return _checked(str(given), content)


def _checked(name: str, content: Any) -> JsonSchema:
    from jsonschema.exceptions import SchemaError as Invalid

    if not isinstance(content, dict):
        raise SchemaError(f"{name} is no JSON Schema: it is {_named(content)}, and a schema is an object")
    for reference in _references(content):
        if not reference.startswith("#"):
            raise SchemaError(f"{name}: $ref {reference!r} leads out of the file, and nothing is fetched; write it in")
        _resolved(content, reference, name)
    try:
        type(_validator(content)).check_schema(content)
    except Invalid as error:
        place = "/".join(map(str, error.path)) or "its top"
        raise SchemaError(f"{name} is no JSON Schema: at {place}: {error.message[:300]}") from error
    root = _node(content, content, name, ())
    if root.keys is None and root.items is None:
        example = '{"type": "object", "properties": {"номер": {"type": "string"}}}'
        raise SchemaError(f"{name} names no key (no 'properties', no 'items'); a schema looks like {example}")
    return JsonSchema(name, content, root)


def _validator(content: Mapping[str, Any]) -> Any:
    from jsonschema import validators
    from jsonschema_specifications import REGISTRY

    draft = validators.validator_for(content, default=validators.Draft202012Validator)
    # With this registry nothing is fetched; without it jsonschema 4.26 opens the address of a $ref.
    return validators.extend(draft, {"multipleOf": _multiple_of})(content, registry=REGISTRY)


def _multiple_of(validator: Any, step: float, value: Any, _schema: Any) -> Iterator[Exception]:
    """Check multipleOf in decimals. jsonschema 4.26 divides floats, so that 19.99 is no multiple of 0.01."""
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(value, "number") or (isinstance(value, float) and not math.isfinite(value)):
        return
    if (Fraction(str(value)) / Fraction(str(step))).denominator != 1:
        yield ValidationError(f"{value!r} is not a multiple of {step}")


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, inner in part.items():
            if name == "$ref" and isinstance(inner, str):
                yield inner
            elif name in _NAMED and isinstance(inner, dict):
                yield from _references(list(inner.values()))
            elif name not in ("enum", "const", "default", "examples"):
                yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def _resolved(whole: Any, reference: str, name: str) -> Any:
    """Return the part of a schema that a JSON pointer in a URI (RFC 6901, 6) leads to."""
    pointer, part = unquote(reference.removeprefix("#")), whole
    if pointer and not pointer.startswith("/"):
        raise SchemaError(f"{name}: $ref {reference!r} names an $anchor; write the place instead: #/$defs/…")
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            part = part[int(key)] if isinstance(part, list) else part[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise SchemaError(f"{name}: $ref {reference!r} leads nowhere") from None
    return part


def _node(part: Any, whole: Any, name: str, above: tuple[str, ...]) -> Node:
    """Read a part of a schema. `above` are the references that led here: what refers to itself is left open."""
    if not isinstance(part, dict):
        return Node(is_known=False)  # true allows anything
    node = Node(kind=_kind(part), is_open=bool(part.get("additionalProperties")) or "patternProperties" in part)
    if isinstance(part.get("properties"), dict):
        node.keys = {str(key): _node(inner, whole, name, above) for key, inner in part["properties"].items()}
        node.required = {key for key in part.get("required", ()) if key in node.keys}
    if isinstance(part.get("items"), dict):
        node.items = _node(part["items"], whole, name, above)
    others = [(word, inner) for word in _PARTS for inner in part.get(word, ())]
    reference = part.get("$ref")
    if isinstance(reference, str):
        if reference in above:
            return Node(is_known=False)
        others.append(("$ref", _resolved(whole, reference, name)))
        above = (*above, reference)
    read = [(word, inner, _node(inner, whole, name, above)) for word, inner in others]
    for word in ("anyOf", "oneOf"):  # a number or a text is compared as a text, as with "type": ["number", "string"]
        kinds = {alternative.kind for of, inner, alternative in read if of == word and not _is_null(inner)}
        node.kind = node.kind or (kinds.pop() if len(kinds) == 1 else "")
    for word, _, other in read:
        _merge(node, other, part)
        node.kind = node.kind or (other.kind if word in ("allOf", "$ref") else "")
    has_shape = node.keys is not None or node.items is not None
    if not has_shape and part.get("type") in ("object", "array"):
        node.is_known = False  # an object of any keys, a list of anything
    return node


def _merge(node: Node, other: Node, part: Mapping[str, Any]) -> None:
    """Add to a node what one of its parts says. What only one of several alternatives requires may be absent."""
    if other.keys is not None:
        node.keys = other.keys | (node.keys or {})
        if "anyOf" not in part and "oneOf" not in part:
            node.required |= other.required
    node.items = node.items or other.items
    node.is_open = node.is_open or other.is_open
    node.is_known = node.is_known and other.is_known


def _is_null(part: Any) -> bool:
    """Whether a part of a schema allows null alone."""
    return isinstance(part, dict) and (
        part.get("type") in ("null", ["null"]) or part.get("enum") == [None] or part.get("const", 0) is None
    )


def _kind(part: Mapping[str, Any]) -> str:
    types = part.get("type")
    named = {types} if isinstance(types, str) else set(types or ())
    if named and named <= {"number", "integer", "null"} and named != {"null"}:
        return "amount"
    return "date" if part.get("format") == "date" else ""


def _keys(node: Node, key: str) -> Iterator[tuple[str, str]]:
    if node.keys is not None:
        for name, inner in node.keys.items():
            yield from _keys(inner, f"{key}.{name}" if key else name)
    elif node.items is not None:
        yield from _keys(node.items, f"{key}[]")
    elif node.is_known:
        yield key, node.kind


def _unlike(node: Node, value: Any, key: str) -> Iterator[str]:
    here = repr(key) if key else "the reference"
    if value is None or not node.is_known:
        return
    if node.keys is not None and node.items is None:
        if not isinstance(value, dict):
            yield f"{here} is {_named(value)}, and the schema has an object there"
            return
        lacking = sorted(name for name in node.required if name not in value)
        unknown = sorted(str(name) for name in value if name not in node.keys)
        if lacking:
            yield f"{here} lacks {', '.join(map(repr, lacking))}, which the schema requires"
        if unknown and not node.is_open:
            yield f"{here} has {', '.join(map(repr, unknown))}, which the schema doesn't name"
        for name, inner in node.keys.items():
            yield from _unlike(inner, value.get(name), f"{key}.{name}" if key else name)
    elif node.items is not None and node.keys is None:
        if not isinstance(value, list):
            yield f"{here} is {_named(value)}, and the schema has a list there"
            return
        for inner in value:
            yield from _unlike(node.items, inner, f"{key}[]")
    elif node.keys is None and isinstance(value, dict | list):
        yield f"{here} is {_named(value)}, and the schema has a single value there"


def _filled(node: Node, value: Any) -> Any:
    if isinstance(value, dict) and node.keys is not None:
        known = node.keys
        absent = {name: _filled(inner, None) for name, inner in known.items() if name not in value}
        return {name: _filled(known[name], inner) if name in known else inner for name, inner in value.items()} | absent
    if isinstance(value, list) and node.items is not None:
        return [_filled(node.items, inner) for inner in value]
    if value is None and node.keys is not None and node.items is None:
        return {name: _filled(inner, None) for name, inner in node.keys.items()}
    return value


def _plain(value: Any) -> Any:
    """Return a JSON value without Decimal, which jsonschema takes for no integer."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else f"the single value {str(value)[:60]!r}"
