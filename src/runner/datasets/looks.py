"""Says what a dataset's file looks like, for a format that could not read it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.images import SUFFIXES
from runner.datasets.paths import resolve, show

BEGINNING = 65_536  # bytes that are looked at

# The word for `dataset=`, and the format that its file names.
Guess = tuple[str, str, str]
JSONL: Guess = ("jsonl", "jsonl", "JSON lines")
LIST: Guess = ("json_list", "json", "a JSON list of questions")
MERA: Guess = ("mera", "json", 'JSON as MERA has it, with "data" and "inputs"')
DOCVQA: Guess = ("docvqa", "docvqa", "DocVQA's JSON")
OMNIDOCBENCH: Guess = ("omnidocbench", "omnidocbench", "OmniDocBench's JSON")
MESSAGES: Guess = ("openai_messages", "openai_messages", "messages of OpenAI's protocol")
PARQUET: Guess = ("parquet", "parquet", "Parquet, or a folder that datasets saved")
VLMEVALKIT: Guess = ("vlmevalkit", "vlmevalkit", "VLMEvalKit's TSV")
SHEET: Guess = ("spreadsheet", "spreadsheet", "a spreadsheet")
TABLE: Guess = ("annotations", "annotations", "a table of annotations")
PICTURES: Guess = ("images", "images", "a folder of pictures")


def guess(config: DatasetConfig, root: Path) -> Problem | None:
    """Return what the file looks like; None if it looks like the format that was asked for, or like none."""
    try:
        path = resolve(config.path, "dataset.path", root)
        if export := _export(path):
            return Problem(f"this looks like {export}", show(path), CONVERTED)
        guess = _folder(path) if path.is_dir() else _file(path)
    except (Refused, OSError, ValueError):
        return None
    if guess is None or guess[1] == config.format or (guess[1], config.format) in ALIKE:
        return None
    word, _, what = guess
    return Problem(
        f"this looks like {what}", show(path), f"dataset={word} (docs/datasets.md has a table of all formats)"
    )


# Exports of programs for annotation hold no questions, so no format reads them: what is asked of a page, and which of
# several annotations is right, is for people to say.
CONVERTED = "write JSON lines of it, as docs/datasets.md, Exports of annotation programs, shows"


# Formats that read the same files: a table of either kind is one with other names of columns.
ALIKE = {("annotations", "spreadsheet"), ("jsonl", "openai_messages"), ("json", "openai_messages")}


def _export(path: Path) -> str | None:
    """Return the name of the annotation program's export that a file is."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        text = file.read(BEGINNING).decode("utf-8-sig", "ignore").lstrip()
    if not text.startswith(("[", "{")):
        return None
    # A large file begins with its images or its annotations, and the rest is out of sight.
    keys = set(_keys(text))
    if text.startswith("{") and keys >= {"file_name", "width"} and keys & {"categories", "licenses", "annotations"}:
        return "a COCO export"
    is_task = {"data", "annotations"} <= keys and bool(keys & {"completed_by", "was_cancelled", "from_name"})
    return "a Label Studio export" if is_task or {"annotator", "annotation_id"} <= keys else None


def _folder(path: Path) -> Guess | None:
    if any((path / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
        return PARQUET
    if next(path.glob("*.parquet"), None) or next(path.glob("data/*.parquet"), None):
        return PARQUET
    if (path / "annotation.csv").is_file():
        return TABLE
    inside = [child.suffix.lower() for child in path.iterdir()]
    return PICTURES if inside and sum(suffix in SUFFIXES for suffix in inside) > len(inside) / 2 else None


def _file(path: Path) -> Guess | None:
    with path.open("rb") as file:
        raw = file.read(BEGINNING)
    if raw.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return PARQUET
    if path.suffix.lower() in (".xls", ".xlsx", ".xlsb", ".ods") and raw.startswith((b"PK", b"\xd0\xcf")):
        return SHEET
    text = raw.decode("utf-8-sig", "ignore").lstrip()
    if text.startswith(("[", "{")):
        return _json(text, is_whole=len(raw) < BEGINNING)
    header = text.partition("\n")[0].rstrip("\r")
    if "\t" in header and {"index", "question"} <= {*header.split("\t")}:
        return VLMEVALKIT
    return (
        TABLE if any(header.count(sign) >= 2 for sign in ";,\t") and path.suffix.lower() in (".csv", ".tsv") else None
    )


def _json(text: str, *, is_whole: bool) -> Guess | None:
    """Tell files of JSON apart by their first keys: a large one is not parsed for a message."""
    keys = set(_keys(text))
    if text.startswith("["):
        if keys & {"layout_dets", "category_type"}:
            return OMNIDOCBENCH
        return MESSAGES if keys & {"messages", "role"} else LIST
    first, _, rest = text.partition("\n")
    if (
        not _has_data(first)
        and _is_object(first)
        and (_is_object(rest.partition("\n")[0]) or not rest.strip() or not is_whole)
    ):
        return MESSAGES if "messages" in keys else DOCVQA if {"data", "questionId"} <= keys else JSONL
    if "data" in keys:
        return DOCVQA if "questionId" in keys else MERA if "inputs" in keys else LIST
    return None


def _keys(text: str) -> Iterator[str]:
    return (match[1] for match in re.finditer(r'"([\w ]{1,40})"\s*:', text[:8192]))


def _has_data(line: str) -> bool:
    """Whether a line is an object that holds all questions, however it is laid out."""
    return re.match(r'{\s*"(?:name|data)"', line) is not None and '"data"' in line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
