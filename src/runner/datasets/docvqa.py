"""DocVQA's JSON: questions about pages of documents, each with several accepted answers.

    {"data": [{"questionId": 337, "question": "what is the date?", "image": "documents/xnbl0037_1.png", "docId": 279,
               "ucsf_document_id": "xnbl0037", "answers": ["1/8/93"], "data_split": "train"}]}

The document is named by `ucsf_document_id` if there is one (a document has several pages, each with its own `docId`),
else by `docId`, else by the image. The hidden test split has no answers. Images are relative to the folder of the file,
or to `dataset.images`. Similar datasets are read with `dataset.columns`: InfographicVQA has
`{images: image_local_name}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.json_values import as_row, read_json
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import check_options, chosen_columns

READS = 'a JSON object with a list "data" of questions'
NAMES = {
    "id": "questionId",
    "images": "image",
    "question": "question",
    "references": "answers",
    "split": "data_split",
}
DOCUMENT = ("ucsf_document_id", "docId")


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read all questions of one file."""
    check_options(config)
    names = chosen_columns(config, NAMES)
    where, content = show(path), read_json(path, READS)
    questions = content.get("data") if isinstance(content, dict) else None
    if not isinstance(questions, list):
        raise Refused(Problem('has no list "data"', where, f"it must hold {READS}"))
    for number, values in enumerate(questions):
        place = f"{where}, data[{number}]"
        if isinstance(values, dict):
            yield as_row(place, values, _with_document(values, names))
        else:
            yield Problem("is no JSON object", place, '{"questionId": 1, "image": "1.png", "question": "..."}')


def _with_document(values: Mapping[str, Any], names: dict[str, str]) -> dict[str, str]:
    """Add the key under which this question names its document."""
    if "document" not in names and (key := next((key for key in DOCUMENT if values.get(key)), None)):
        return {**names, "document": key}
    return names
