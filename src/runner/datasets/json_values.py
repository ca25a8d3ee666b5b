"""JSON values turned into a row, with types checked. Numbers keep their spelling: an answer of 1.50 stays "1.50"."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, ValidationError

from metrics.normalisation import visible
from runner.base.errors import Problem, Refused
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS, as_value
from runner.datasets.text_files import read_text


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Parse JSON. Raise ValueError, with the place, for anything else, and for NaN and infinities."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_number)


def parsed(where: str, text: str, remedy: str) -> Any:
    """Return what JSON says, or the problem with it at a place."""
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        return Problem(f"is not JSON: {error}", where, remedy)


def read_json(path: Path, reads: str) -> Any:
    """Return what a JSON file says. Raise Refused where it is none; `reads` is what it must hold."""
    content = parsed(show(path), read_text(path, reads), f"it must hold {reads}")
    if isinstance(content, Problem):
        raise Refused(content)
    return content


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON; leave the key out, or write null")


def _empty_for_null(value: Any) -> Any:
    return "" if value is None else value


def _no_number_as_text(value: Any) -> Any:
    if isinstance(value, Number):
        raise ValueError("a number")  # noqa: TRY004 - pydantic takes ValueError alone
    return _empty_for_null(value)


def _paths(value: Any) -> Any:
    """Return a list of paths without what is empty; a path alone is the only one."""
    return [path for path in (value if isinstance(value, list) else [value]) if path is not None and path != ""]


def _answers(value: Any) -> Any:
    """Return the accepted answers without what is empty; a text or a number alone is the only one."""
    if value is None or isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return value
    return [one for one in value if one is not None and not (isinstance(one, str) and not visible(one).strip())]


_Label = Annotated[str, BeforeValidator(_empty_for_null)]
_Text = Annotated[str, BeforeValidator(_no_number_as_text)]


def _meaning(expected: str, example: str, absent: Any = "") -> Any:
    return Field(absent, description=expected, examples=[example])


class _Values(BaseModel):
    """What one object says, by meaning; with what a message says is expected, and an example."""

    id: _Label = _meaning("a text or a number", '"17"')
    document: _Label = _meaning("a text or a number", '"contract-3"')
    split: _Text = _meaning("a text", '"test"')
    images: Annotated[tuple[_Text, ...], BeforeValidator(_paths)] = _meaning(
        "a list of paths", '["1.jpg", "2.jpg"]', ()
    )
    question: _Text = _meaning("a text", '"Кто покупатель?"')
    references: Annotated[tuple[str, ...], BeforeValidator(_answers)] = _meaning(
        "a list of answers", '["ИП Жуков"]', ()
    )
    doc_class: _Text = _meaning("a text", '"invoice"')
    field: _Text = _meaning("a text", '"Покупатель"')
    context: _Text = _meaning("a text", '"..."')
    answerable: StrictBool | None = _meaning("true, false or null", "true", None)


def as_row(where: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Row | Problem:
    """Turn an object into a row. `names` says which key has which meaning; without it, keys are the meanings."""
    names = names or {meaning: meaning for meaning in MEANINGS}
    if problem := _other_name(where, values, names):
        return problem
    try:
        read = _Values.model_validate({meaning: values.get(name) for meaning, name in names.items()})
    except ValidationError as error:
        meaning = str(error.errors()[0]["loc"][0])
        expected, name = _Values.model_fields[meaning].description, names[meaning]
        return Problem(f"{name} is {_kind(values[name])}, not {expected}", where, _example(meaning, name))
    texts = read.__dict__  # iterating over the model itself costs half as much again
    if clip := values.get("video"):
        if not isinstance(clip, str):
            return Problem(f"video is {_kind(clip)}, not a path", where, 'for example video: "clip.mp4"')
        texts["images"] = (*texts["images"], clip)
    for needed in ("id", "images"):
        if not texts[needed]:
            return Problem(f"{names[needed]} is missing or empty", where, _example(needed, names[needed]))
    meta = {key: value for key, value in values.items() if key not in names.values() and key != "video"}
    document = texts.pop("document", None) or texts["images"][0].partition("#page=")[0]
    return Row(where=where, document=document, meta=meta, **texts)


def _example(meaning: str, name: str) -> str:
    (example,) = _Values.model_fields[meaning].examples or [""]
    return f"for example {name}: {example}"


def _other_name(where: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Problem | None:
    """Say where a key that is read is absent, and another has a name that means the same elsewhere."""
    for meaning, others in OTHER_NAMES.items():
        name = names.get(meaning)
        if name is None or name in values or (meaning == "images" and values.get("video")):
            continue
        free = [key for key in values if key not in names.values() and values[key] not in (None, "", [])]
        bare = {re.sub(r"[\s_-]", "", key).casefold(): key for key in free}
        similar = [bare[other] for other in others if other in bare]
        if not similar:  # a slip of the pen, such as refrences
            similar = [bare[other] for other in difflib.get_close_matches(name.casefold(), bare, cutoff=0.85)]
        if similar:
            remedy = f"say what it is called: 'dataset.columns={{{meaning}: {as_value(similar[0])}}}' (null: not read)"
            return Problem(f"there is no {name}, but a key {similar[0]!r}", where, remedy)
    return None


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        return f"the number {value}"
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    text = json.dumps(value, ensure_ascii=False)
    return f"{names[type(value)]} ({text if len(text) < 60 else text[:57] + '...'})"


# What other data sets call these; compared without case, spaces, `_` and `-`.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "references": (
        *("reference", "answers", "answer", "groundtruths", "groundtruth", "gts", "gt", "goldanswers", "goldanswer"),
        *("gold", "target", "targets", "label", "labels", "expected", "correctanswer", "эталон", "ответ", "ответы"),
        *("expectedanswer", "expectedoutput", "trueanswer", "answertext", "ref", "refs", "solution", "transcription"),
        *("groundtruthanswer", "output", "outputs", "правильныйответ", "верныйответ", "эталонныйответ", "эталоны"),
    ),
    "images": (
        *("image", "imagepath", "imagepaths", "imagefile", "filename", "file", "picture", "img", "imgs", "imageurl"),
        *("pic", "photo", "scan", "documentimage", "изображение", "изображения", "картинка", "файл", "скан"),
    ),
    "question": ("query", "questiontext", "prompt", "instruction", "вопрос", "запрос"),
    "id": ("sampleid", "questionid", "qid", "uid", "uuid", "idx", "index", "номер"),
}
