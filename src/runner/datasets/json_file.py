"""One JSON file of many questions: a list of objects, at the top or within an object, and values within others.

    [{"id": 1, "image": "1.png", "question": "…", "answer": "…"}]                            dataset=json_list
    {"data": [{"instruction": "… {question}", "inputs": {"image": "1.png", "question": "…"},
               "outputs": "A", "meta": {"id": 7}}]}                                         dataset=mera

`dataset.options.records` is the key of the list (`data`; empty: the file is the list), and a column may lie
within others (`inputs.question`). `dataset.options.fill` is the key of an object whose values replace `{name}` in the
question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import nested
from runner.datasets.json_values import read_json
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS, check_options, chosen_columns

READS = "a JSON list of questions"


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read all questions of one file."""
    check_options(config, "records", "fill")
    names = chosen_columns(config, {meaning: meaning for meaning in MEANINGS}, "images")
    where, content = show(path), read_json(path, READS)
    records, fill = str(config.options.get("records") or ""), config.options.get("fill")
    questions = nested.value_at(content, records) if records else content
    if not isinstance(questions, list):
        what = f"has no list {records!r}" if records else "is no list"
        keys = f"; its keys: {', '.join(map(str, content))}" if isinstance(content, dict) else ""
        raise Refused(Problem(f"{what}{keys}"[:500], where, "dataset.options.records=KEY names the key of the list"))
    for number, values in enumerate(questions):
        place = f"{where}, {records}[{number}]"
        if isinstance(values, dict):
            yield _row(place, values, names, None if fill is None else str(fill), str(number))
        else:
            yield Problem("is no JSON object", place, '{"id": "1", "images": ["1.png"], "question": "..."}')


def _row(
    place: str, values: Mapping[str, Any], names: Mapping[str, str], fill: str | None, number: str
) -> Row | Problem:
    made = nested.flat(values, names)
    if "id" not in names:
        names, made = {**names, "id": "id"}, {**made, "id": number}
    question = made.get(names.get("question", ""))
    if fill is not None and isinstance(question, str):
        if (inputs := nested.value_at(values, fill)) is None:
            return Problem(
                f"there is no {fill!r}, with which the question is filled", place, "dataset.options.fill=KEY"
            )
        made[names["question"]] = nested.filled(question, inputs)
    return nested.row(place, made, names)
