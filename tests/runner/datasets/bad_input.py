"""Ways to write bad datasets and to read what is said about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, open_dataset

HEADER = "data_index;split;image_path;question;answer;doc_class;question_type;answer_bbox"
GOOD = "1;test;1.jpg;Кто?;Я;акт;Имя;[]"


def refusal(**keys: Any) -> str:
    with pytest.raises(Refused) as raised:
        open_dataset(DatasetConfig(**keys))
    return str(raised.value)


def annotations(folder: Path, *lines: str, **keys: Any) -> str:
    (folder / "1.jpg").touch()
    (folder / "annotation.csv").write_text("\n".join(lines), "utf-8")
    return refusal(format="annotations", path=str(folder), **keys)


def jsonl(folder: Path, *lines: object, **keys: Any) -> str:
    (folder / "1.jpg").touch()
    text = "\n".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines)
    (folder / "rows.jsonl").write_text(text, "utf-8")
    return refusal(format="jsonl", path=str(folder / "rows.jsonl"), **keys)


def row(**keys: Any) -> dict[str, Any]:
    return {"id": "1", "images": ["1.jpg"], "question": "Кто?", "references": ["Я"]} | keys


def has(message: str, *parts: str) -> None:
    for part in parts:
        assert part in message, f"{part!r} is not in:\n{message}"
