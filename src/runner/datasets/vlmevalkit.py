"""VLMEvalKit's TSV: one question a line, its picture in base64.

    index  question        A     B     answer  image           category
    1      Что на снимке?  Счёт  Чек   B       iVBORw0KGgo…    ocr
    2      Какой номер?                7       1

A short text in place of a picture is the index of the line whose picture it shares. Several pictures are a list.
Options (columns A, B, …) are put behind the question, each on a line: `A. Счёт`. `hint` is the context. `image_path` is
used where a line has no picture. A list of texts as an answer holds the accepted ones. Columns as in its guide for
developers; lists of answers as in `process_line` of its vlmeval/dataset/utils/vqa_eval.py.
"""

from __future__ import annotations

import ast
import csv
import io
import string
import sys
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import embedded, nested
from runner.datasets.cells import lost
from runner.datasets.paths import need_file, show
from runner.datasets.reader import Row
from runner.datasets.tables import check_options, chosen_columns

READS = "VLMEvalKit's TSV with the columns index, image, question"
NAMES = {"id": "index", "images": "image", "question": "question", "references": "answer", "doc_class": "category"}
SHORT = 64  # VLMEvalKit's own limit: a shorter text names another line


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read the file twice: first which pictures are shared, then the lines."""
    check_options(config)
    names = chosen_columns(config, NAMES, "id", "images")
    where = show(need_file(path, READS))
    csv.field_size_limit(sys.maxsize)
    image = names["images"]
    wanted = {text for _, line in _lines(path, where, names) if (text := line.get(image, "")) and len(text) <= SHORT}
    shared: dict[str, str] = {
        line[names["id"]]: line[image] for _, line in _lines(path, where, names) if line.get(names["id"]) in wanted
    }
    for number, line in _lines(path, where, names):
        yield _row(f"{where}:{number}", line, names, shared)


def _lines(path: Path, where: str, names: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        try:
            columns = list(reader.fieldnames or ())
            needed = [names[meaning] for meaning in ("id", "question") if meaning in names]
            if missing := [name for name in needed if name not in columns]:
                what = f"missing column: {', '.join(missing)}; found: {', '.join(columns)[:300]}"
                raise Refused(Problem(what, where, f"it must be {READS}, separated by tabs"))
            for line in reader:
                yield reader.line_num, {name: text for name, text in line.items() if isinstance(text, str) and name}
        except UnicodeDecodeError as error:
            raise Refused(Problem(f"is not UTF-8: {error}", where, "save the file as UTF-8")) from error


def _row(where: str, line: Mapping[str, str], names: Mapping[str, str], shared: Mapping[str, str]) -> Row | Problem:
    values: dict[str, Any] = {name: text for name, text in line.items() if text != ""}
    try:
        values[names["images"]] = _pictures(line, names, shared)
    except embedded.NoPicture as error:
        return Problem(f"column {names['images']} holds {error}", where, "a picture in base64")
    answer = names.get("references", "")
    if answer in values:
        if why := lost(values[answer]):
            return Problem(f"column {answer} holds {values[answer]!r}, {why}", where, "write the answer, or nothing")
        values[answer] = accepted(values[answer])
    options = [f"{letter}. {values.pop(letter)}" for letter in string.ascii_uppercase if letter in values]
    if options and "question" in names and names["question"] in values:
        values[names["question"]] = "\n".join([values[names["question"]], *options])
    if "hint" in values and "context" not in names:
        values["context"], names = values.pop("hint"), {**names, "context": "context"}
    if "split" in values and "split" not in names:
        names = {**names, "split": "split"}
    return nested.row(where, values, names)


def _pictures(line: Mapping[str, str], names: Mapping[str, str], shared: Mapping[str, str]) -> list[Any]:
    text = line.get(names["images"], "")
    if text and len(text) <= SHORT and text in shared:
        text = shared[text]
    if not text:
        return _listed(line.get("image_path", ""))
    if len(text) <= SHORT:
        raise embedded.NoPicture(f"{text!r}, and no line has this index")
    return [embedded.decoded(encoded) for encoded in _listed(text)]


def _listed(text: str) -> list[str]:
    """Return the texts of a list as Python writes it, or the text alone."""
    if not text.startswith("["):
        return [text] if text else []
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise embedded.NoPicture(f"a list that can't be read ({error})") from error
    return [str(value) for value in values]


def accepted(answer: str) -> list[str]:
    """Return the answers in a cell: the texts of a list of texts as Python or numpy writes it, else the cell alone.

    VLMEvalKit evaluates the cell. `['7' 'семь']`, as numpy writes two texts, would so be one: '7семь'. A list of
    anything else is one answer: numbers are a box.
    """
    if not answer.strip().startswith("["):
        return [answer]
    plain = {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(answer.strip()).readline))
        texts = [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return [answer]
    signs = [token.string for token in tokens if token.type not in {tokenize.STRING, *plain}]
    is_list = bool(texts) and signs[:1] == ["["] and signs[-1:] == ["]"] and set(signs[1:-1]) <= {","}
    return texts if is_list and all(isinstance(text, str) for text in texts) else [answer]
