"""Whether an answer that follows a JSON Schema can say the same as a reference, which may be written in another way.

schema {"дата": {"type": "string", "format": "date"}, "сумма": {"type": "number"}}
    {"дата": "28.09.2010", "сумма": "1 234,50"}  ->  {"дата": "2010-09-28", "сумма": 1234.5}, which counts as right
    {"дата": "весной", "сумма": 5}               ->  none: дата: 'весной' is not a 'date'

The same are what `metrics.kie` takes for the same: dates, amounts and other kinds of values in any spelling; numbers
and texts; null, an empty text, an empty list and a missing key.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from metrics.fields import read_as
from metrics.json_schema import Breach, JsonSchema, Node
from metrics.normalisation import Normalisation
from metrics.structured import json_text

_PASSES = 4  # over the errors of a reference; the first mends what can be mended, unless parts of an allOf disagree
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_EMPTY: tuple[Any, ...] = (None, "", [])

KindOf = Callable[[Sequence[str | int]], str | None]
Place = tuple[str | int, ...]


def fitted(schema: JsonSchema, value: Any, kind_of: KindOf) -> tuple[Any, str]:
    """Return a JSON value that says the same and follows the schema, formats included, or the first error that remains.

    `kind_of` names the kind of the value (`metrics.fields`) under a path of keys and numbers of list items.
    """
    value = copy.deepcopy(value)
    errors = schema.breaches(value)
    for _ in range(_PASSES):
        mended = [_mend(schema, value, error, kind_of(error.place)) for error in errors]
        if not any(mended):
            break
        errors = schema.breaches(value)
    if errors:
        return None, f"{_written(errors[0].place)}: {errors[0].message}"
    return _ordered(schema.root, value), ""


def one_line(value: Any) -> str:
    """Return a JSON value on one line, its numbers as `metrics.structured` writes them."""
    if isinstance(value, dict):
        inner = ", ".join(
            f"{json.dumps(str(key), ensure_ascii=False)}: {one_line(item)}" for key, item in value.items()
        )
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(one_line, value))}]"
    return json_text(value) if isinstance(value, float | Decimal) else json.dumps(value, ensure_ascii=False)


def _mend(schema: JsonSchema, value: Any, error: Breach, kind: str | None) -> bool:
    """Put what says the same and is allowed into the place of an error. Return whether the value was changed."""
    if not error.place:
        return False
    *above, last = error.place
    holder = value
    node: Node | None = schema.root
    for step in above:
        holder = holder[step]
        node = node and (node.items if isinstance(step, int) else (node.keys or {}).get(step))
    if isinstance(holder, dict) and last not in holder:
        return False  # left out for an earlier error
    for other in _spellings(holder[last], kind):
        if error.allows(other):
            holder[last] = other
            return True
    if isinstance(holder, dict) and holder[last] in _EMPTY and not (node and last in node.required):
        del holder[last]
        return True
    return False


def _spellings(here: Any, kind: str | None) -> Iterator[Any]:
    """Yield other JSON values that say the same as a value without parts."""
    if here in _EMPTY:
        yield from (empty for empty in _EMPTY if empty != here)
        return
    if isinstance(here, dict | list):
        return
    told = json_text(here)
    is_amount = kind in ("amount", "money") and not isinstance(here, str)  # 5.125 is no "5.125", which is read as 5125
    told = Normalisation()(read_as(kind, told) if kind and not is_amount else told)
    yield told
    if _NUMBER.fullmatch(told):
        yield Decimal(told)


def _ordered(node: Node | None, value: Any) -> Any:
    """Return a JSON value with its keys in the order of the schema, in which constrained answers have them."""
    if isinstance(value, dict) and node is not None and node.keys is not None:
        known = [key for key in node.keys if key in value]
        others = [key for key in value if key not in node.keys]
        return {key: _ordered(node.keys.get(key), value[key]) for key in (*known, *others)}
    if isinstance(value, list):
        return [_ordered(node.items if node is not None else None, item) for item in value]
    return value


def _written(place: Place) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".") or "the reference"
