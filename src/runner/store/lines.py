"""The format of a shelf's lines: a JSON object that ends with a checksum of the rest.

    {"shelf": {"backend": "hf", "checkpoint": "assets/…", "quant": "bf16", "weights": "real"}, "crc": "…"}   first line
    {"key": "9f…", "at": 1770000000.0, "conditions": {"gpu": "none", …}, "generation": {…}, "crc": "…"}
    {"job": "4c…", "at": …, "conditions": {…}, "measured": {"wall_s": 7.1, …}, "crc": "…"}

The cache *key* is a hash of all that decides the text of an answer; *conditions* are all that decides its timing.
`at` is Unix time. Lines of earlier versions have neither `at` nor `crc`, and can still be read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

from backends.api import Failure, Generation, Timing, TokenLogprobs

_CRC = b',"crc":"%08x"}'
_CRC_BYTES = len(_CRC % 0)
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False)  # json.dumps makes one for each call with options
_LINE = json.JSONEncoder(ensure_ascii=False)
_FIELDS = tuple(field.name for field in dataclasses.fields(Generation))
_ERROR_FIELDS = tuple(field.name for field in dataclasses.fields(Failure))
_TIMING_FIELDS = tuple(field.name for field in dataclasses.fields(Timing))
_LOGPROBS_FIELDS = tuple(field.name for field in dataclasses.fields(TokenLogprobs))


def digest(value: Any) -> str:
    """Return a hash of a JSON value."""
    return digest_of_json(as_json(value))


def as_json(value: Any) -> str:
    """Return a value in the canonical JSON that `digest` hashes."""
    return _CANONICAL.encode(value)


def digest_of_json(text: str) -> str:
    """Return the hash of canonical JSON: the output of `as_json`, or such parts joined as `[A, B]` with ", "."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_json(generation: Generation) -> dict[str, Any]:
    """Return every field of a generation as JSON values.

    `dataclasses.asdict` would do the same, but copies every token, which makes it ten times slower.
    """
    row = {name: getattr(generation, name) for name in _FIELDS}
    for name, fields in (("error", _ERROR_FIELDS), ("timing", _TIMING_FIELDS), ("token_logprobs", _LOGPROBS_FIELDS)):
        part = row[name]
        row[name] = None if part is None else {field: getattr(part, field) for field in fields}
    return row


def from_json(row: Mapping[str, Any]) -> Generation:
    """Return the generation of which `row` is the output of `to_json`."""
    values = {name: row[name] for name in _FIELDS if name in row}
    values["error"] = Failure(**row["error"]) if row.get("error") else None
    values["timing"] = Timing(**row["timing"]) if row.get("timing") else None
    values["token_ids"] = tuple(row["token_ids"]) if row.get("token_ids") is not None else None
    values["remarks"] = tuple(row.get("remarks") or ())
    if (told := row.get("token_logprobs")) is not None:
        lengths, logprobs = tuple(told.get("lengths") or ()), tuple(told.get("logprobs") or ())
        values["token_logprobs"] = TokenLogprobs(lengths, logprobs, told.get("problem") or "")
    return Generation(**values)


def encode(row: Mapping[str, Any]) -> bytes:
    """Return a row as a line, with its checksum and a newline."""
    body = _LINE.encode(row).encode()
    return body[:-1] + _CRC % zlib.crc32(body) + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Return the row of a line. Raise ValueError if the line is damaged; its message says how."""
    line = line.rstrip(b"\n")
    body = line[:-_CRC_BYTES] + b"}"
    if line[-_CRC_BYTES:].startswith(b',"crc":"'):
        if line[-_CRC_BYTES:] != _CRC % zlib.crc32(body):
            raise ValueError("its checksum does not fit: it was changed after it was written")
        line = body
    row = json.loads(line)
    if not isinstance(row, dict) or not row.keys() & {"key", "job", "shelf"}:
        raise ValueError("it is no line of a store")
    return row


def written_at(row: Mapping[str, Any]) -> float | None:
    """Return the Unix time at which a row was written; None if the row does not contain it."""
    if (at := row.get("at")) is not None:
        return float(at)
    timing = (row.get("generation") or {}).get("timing") or {}
    return timing.get("sent_at")


def name(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the name of a row. A later row with the same name supersedes it."""
    if "shelf" in row:
        return ("shelf",)
    kind = "key" if "key" in row else "job"
    return (kind, str(row[kind]), digest(row.get("conditions", {})))
