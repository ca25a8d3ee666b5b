"""Parquet files and folders that the package datasets saved (`save_to_disk`), with the pictures inside.

    DocVQA/validation-00000-of-00006.parquet: questionId, question, image {bytes, path}, docId, answers

`dataset.path` is a file, a folder of `*.parquet`, or a saved folder; of a saved DatasetDict `dataset.options.split`
names the part. Rows are read in batches (pyarrow), so that the memory holds a few at a time. A column may be a picture
as `datasets` stores it, bytes, or a path.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import nested
from runner.datasets.json_values import Number
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import check_options, chosen_columns

READS = "a Parquet file, a folder of them, or a folder that datasets saved"
NAMES = {"images": "image", "question": "question", "references": "answer"}
BATCH = 32  # rows in memory at a time: a page has up to some MB


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read all rows of all files in the order of their names."""
    check_options(config, "split")
    names, number = chosen_columns(config, NAMES, "images"), 0
    for where, plain in objects(path, names, config.options.get("split")):
        if isinstance(plain, Problem):
            yield plain
            continue
        flat = nested.flat(plain, names)
        known = names if "id" in names else {**names, "id": "id"}
        if "id" not in names:
            flat["id"] = str(number)
        yield nested.row(where, flat, known)
        number += 1


def objects(path: Path, names: dict[str, str], split: Any = None) -> Iterator[tuple[str, dict[str, Any] | Problem]]:
    """Yield the place and the values of each row, as JSON would hold them; columns in `names` must be there."""
    for file in _files(path, split):
        for first, batch in _batches(file, names):
            kinds = {column.name: column.type for column in batch.schema}
            for place, values in enumerate(batch.to_pylist(), start=first):
                where = f"{show(file)}, row {place}"
                try:
                    yield where, {name: _plain(value, kinds[name]) for name, value in values.items()}
                except OverflowError as error:
                    yield where, Problem(str(error), where, "a number, or null")


def _files(path: Path, split: Any) -> list[Path]:
    """Return the files to read. Raise Refused where there are none."""
    if path.is_file():
        return [path]
    if (path / "dataset_dict.json").is_file():
        splits = json.loads((path / "dataset_dict.json").read_text("utf-8")).get("splits", [])
        if split not in splits:
            what = "a folder of several splits" if split is None else f"there is no split {split!r}"
            raise Refused(Problem(what, show(path), f"dataset.options.split=…, one of: {', '.join(splits)}"))
        path /= str(split)
    if (path / "state.json").is_file():
        state = json.loads((path / "state.json").read_text("utf-8"))
        if state.get("_indices_files") or state.get("_indices_data_files"):
            what = "it was saved with rows selected by an index"
            raise Refused(Problem(what, show(path), "dataset.flatten_indices().save_to_disk(…)"))
        return [path / file["filename"] for file in state.get("_data_files", [])]
    if files := sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet")):
        return files
    raise Refused(Problem("holds no *.parquet and no folder that datasets saved", show(path), f"name {READS}"))


def _batches(file: Path, names: dict[str, str]) -> Iterator[tuple[int, Any]]:
    """Yield batches with the number of their first row. Raise Refused for a file that can't be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        if file.suffix == ".arrow":
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as stream:
                _check(file, stream.schema.names, names)
                for whole in stream:
                    for start in range(0, whole.num_rows, BATCH):
                        yield row + start, whole.slice(start, BATCH)
                    row += whole.num_rows
            return
        with pq.ParquetFile(file) as table:
            _check(file, table.schema_arrow.names, names)
            for batch in table.iter_batches(batch_size=BATCH):
                yield row, batch
                row += batch.num_rows
    except pa.ArrowException as error:
        raise Refused(Problem(f"can't be read: {' '.join(str(error).split())[:300]}", show(file), READS)) from error


def _check(file: Path, present: list[str], names: dict[str, str]) -> None:
    missing = [name for name in names.values() if name not in present and name.partition(".")[0] not in present]
    if missing:
        remedy = "say what it is called: 'dataset.columns={references: answers}' (null: not read)"
        raise Refused(Problem(f"missing column: {', '.join(missing)}; found: {', '.join(present)}", show(file), remedy))


def _plain(value: Any, kind: Any) -> Any:
    """Return a value of an Arrow type as JSON would hold it. Raise OverflowError for infinity.

    Numbers keep their spelling: Arrow gives a float32 of 0.1 as 0.10000000149011612. NaN is pandas' "no value".
    """
    kind = getattr(kind, "storage_type", kind)  # of an extension type
    if isinstance(value, bool) or value is None or isinstance(value, str | bytes):
        return value
    if isinstance(value, float):
        return _number(value, str(getattr(kind, "value_type", kind)))  # `value_type`: of a dictionary
    if isinstance(value, int | decimal.Decimal):
        return None if isinstance(value, decimal.Decimal) and value.is_nan() else Number(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(inner, kind.field(name).type) for name, inner in value.items()}
    return (
        [_plain(inner, getattr(kind, "value_type", None)) for inner in value] if isinstance(value, list) else str(value)
    )


def _number(value: float, kind: str) -> Number | None:
    import numpy as np

    if math.isnan(value):
        return None
    if math.isinf(value):
        raise OverflowError(f"{value} is no number")
    short = {"halffloat": np.float16, "float": np.float32}.get(kind, float)
    return Number(short(value))
