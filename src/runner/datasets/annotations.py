"""VLMHyperBench's annotation folder: `annotation.csv`, separated by `;`, beside the images that it names.

    data_index;split;image_path;question;answer;doc_class;question_type;answer_bbox
    1;test_clean;images/1.jpg;Напиши Фамилия;Карбаинов;passport;Фамилия;[780, 110, 1060, 170]

`data_index` names the document, by which statistics cluster; all questions about a document have the same one. The
sample id is the zero-based row in the whole file, before filters, so that answers of different subsets can be joined
(VLMHyperBench numbers samples in the same way). `image_path` is a path or a JSON list of paths. An empty answer means
that there is no reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.paths import show
from runner.datasets.reader import Note, Row
from runner.datasets.tables import as_rows, check_header, check_options, chosen_columns
from runner.datasets.text_files import read_csv

READS = "a table with the columns data_index; split; image_path; question; answer; doc_class; question_type"
COLUMNS = {
    "document": "data_index",
    "split": "split",
    "images": "image_path",
    "question": "question",
    "references": "answer",
    "doc_class": "doc_class",
    "field": "question_type",
}


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem | Note]:
    """Read `annotation.csv` of a folder, or the CSV file that `path` names."""
    check_options(config, "separator", "encoding")
    file = path / "annotation.csv" if path.is_dir() else path
    if not file.exists():
        tables = ", ".join(sorted(other.name for other in path.glob("*.csv"))) or "none"
        what = "the folder has no annotation.csv"
        raise Refused(Problem(what, show(path), f"name the file in dataset.path; CSV files there: {tables}"))
    separator, encoding = config.options.get("separator"), str(config.options.get("encoding", "utf-8"))
    given = None if separator is None else str(separator).replace(r"\t", "\t")  # no shell has a plain tab
    table = read_csv(file, READS, given, encoding, usual=";", option="dataset.options.separator")
    optional = {"split"} - set(config.columns)
    yield from as_rows(table, check_header(table, chosen_columns(config, COLUMNS), optional))
