"""MWS-Vision-Bench and its anti-fraud set: questions of several tasks, whose answers have several forms.

    [{"id": "1", "type": "text grounding ru", "dataset_name": "business", "image_path": "/business/scans/1.jpg",
      "question": "Где находится герб?", "answers": [398, 65, 467, 140]}]

`dataset.path` is such a list as one JSON file, JSON lines (`metadata.jsonl` names the picture `file_name`), a Parquet
file, or a folder with one of them. The task (`type`) is the sample's field, `dataset_name` its class. Source of the
format: github.com/mts-ai/MWS-Vision-Bench at 6632d62, README.md and src/utils/dataset_loader.py.

References have one form for each task, which metrics of this project read as well: a box is `[398, 65, 467, 140]`, key
information is JSON, and of the anti-fraud set `{"label": "edited", "arguments": [accepted reasons]}`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import nested, parquet
from runner.datasets.json_values import Number, parsed, read_json
from runner.datasets.paths import show
from runner.datasets.reader import Note, Row
from runner.datasets.tables import check_options
from runner.datasets.text_files import read_text

READS = "a JSON list, JSON lines or Parquet with type, question, answers and a picture"
GROUNDING, PAGE_OCR, PARSING = "text grounding ru", "full-page OCR ru", "document parsing ru"
KEY_INFORMATION, VQA, ANTIFRAUD = "key information extraction ru", "reasoning VQA ru", "antifraud ru"
TASKS = (PAGE_OCR, PARSING, GROUNDING, KEY_INFORMATION, VQA, ANTIFRAUD)
ONE_ANSWER = (PAGE_OCR, PARSING, KEY_INFORMATION)  # the benchmark stops where these have none, or several
PICTURES = ("image", "image_path", "file_name")
MEANINGS = {name: name for name in ("id", "images", "question", "references", "doc_class", "field")}


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem | Note]:
    """Read all questions; those of tasks that the benchmark does not score are left out, and told of."""
    check_options(config)
    if config.columns:
        remedy = "leave it out; dataset=json_list and dataset=parquet read columns of other names"
        raise Refused(Problem("this format has columns of its own", "dataset.columns", remedy))
    unknown: Counter[str] = Counter()
    for number, (where, values) in enumerate(_objects(path)):
        if isinstance(values, Problem):
            yield values
        elif values.get("type") not in TASKS:
            unknown[str(values.get("type"))] += 1
        else:
            yield _row(where, values, str(number))
    if unknown:
        listed = ", ".join(f"{name!r} ({count})" for name, count in sorted(unknown.items())[:10])
        yield Note(f"{unknown.total()} questions of tasks that MWS-Vision-Bench does not score are left out: {listed}")


def _objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any] | Problem]]:
    """Yield the place of each question, and what is said of it."""
    file = _file(path)
    if file is None or file.suffix in (".parquet", ".arrow"):
        yield from parquet.objects(
            path if file is None else file, {name: name for name in ("image", "type", "question", "answers")}
        )
        return
    where = show(file)
    if file.suffix == ".jsonl":
        for number, line in enumerate(read_text(file, READS).split("\n"), 1):
            if line.strip():
                at = f"{where}:{number}"
                yield at, _object(at, parsed(at, line, "one complete JSON object a line"))
        return
    content = read_json(file, READS)
    if not isinstance(content, list):
        raise Refused(Problem("is no list", where, f"it must hold {READS}"))
    for number, values in enumerate(content):
        at = f"{where}, [{number}]"
        yield at, _object(at, values)


def _object(where: str, values: Any) -> Mapping[str, Any] | Problem:
    return values if isinstance(values, dict | Problem) else Problem("is no JSON object", where, READS)


def _file(path: Path) -> Path | None:
    """Return the file to read; None for a folder of Parquet. Raise Refused for a folder that holds none."""
    if path.is_file():
        return path
    if any(path.glob("*.parquet")) or any(path.glob("data/*.parquet")) or (path / "state.json").is_file():
        return None
    if (path / "metadata.jsonl").is_file():
        return path / "metadata.jsonl"
    if len(lists := sorted(path.glob("*.json"))) == 1:
        return lists[0]
    what = f"holds {len(lists)} files *.json" if lists else "holds neither *.parquet nor metadata.jsonl nor *.json"
    raise Refused(Problem(what, show(path), f"dataset.path names {READS}, or a folder with one of them"))


def _row(where: str, values: Mapping[str, Any], number: str) -> Row | Problem:
    task, answers = str(values["type"]), values.get("answers")
    answers = [] if answers is None else answers
    if not isinstance(answers, list):
        return Problem(f"answers is no list: {str(answers)[:100]}", where, 'a list, such as ["12.03.2024"]')
    if task in ONE_ANSWER and len(answers) != 1:
        what = f"{task} has {len(answers)} answers; MWS-Vision-Bench defines no score but for exactly one"
        return Problem(what, where, "give one answer")
    found = references(task, answers, values)
    if isinstance(found, Problem):
        return replace(found, where=where)
    picture = next((values[name] for name in PICTURES if values.get(name)), None)
    if isinstance(picture, str) and not picture.startswith("data:"):
        picture = picture.lstrip("/")  # from the folder of pictures, as the benchmark's older files name it
    known = {"id", "type", "dataset_name", "question", "answers", *PICTURES}
    made = {name: value for name, value in values.items() if name not in known}
    made |= {
        "id": number if values.get("id") is None else values["id"],
        "images": picture,
        "question": values.get("question"),
        "references": found,
        "doc_class": values.get("dataset_name"),
        "field": task,
    }
    return nested.row(where, made, MEANINGS)


def references(task: str, answers: list[Any], values: Mapping[str, Any]) -> list[str] | Problem:
    """Return the references in the form of the task, or what is wrong with the answers of a question."""
    if task == GROUNDING:
        return [f"[{', '.join(_text(one) or 'null' for one in answers)}]"]
    if task == ANTIFRAUD:
        reasons = [text for one in answers if (text := _text(one))]
        return [json.dumps({"label": str(values.get("dataset_name")), "arguments": reasons}, ensure_ascii=False)]
    if task == KEY_INFORMATION and answers and isinstance(answers[0], Mapping):
        if not all(isinstance(value, list) for value in answers[0].values()):
            # The benchmark would take each letter of such a value for an accepted answer.
            what = "the answer is an object with values that are no lists, which MWS-Vision-Bench can't compare"
            return Problem(what, remedy='a text with JSON, such as ["{\\"Номер\\": [\\"12\\"]}"]')
        return [json.dumps(answers[0], ensure_ascii=False)]
    return [text for one in answers if (text := _text(one)) is not None]


def _text(value: Any) -> str | None:
    """Return an answer as Python writes it, as the benchmark does: 12.50 is 12.5. None: neither text nor number."""
    if isinstance(value, Number):
        return str(json.loads(value))
    return str(value) if isinstance(value, str | bool) else None
