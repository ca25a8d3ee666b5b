"""A judge's rubric: the prompts that ask for a verdict, and the parser of its reply.

    {"explanation": "The second leaves out the date.", "answer_1": {"usefulness": 9}, "answer_2": {"usefulness": 7}}

This module does no I/O. A judge never learns which model gave an answer.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model

from metrics.api import Case

Kind = Literal["pairwise", "absolute"]
KINDS: tuple[Kind, ...] = ("pairwise", "absolute")
COMMON = ("question", "field", "doc_class", "criteria", "low", "high", "image", "shape")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "pairwise": (*COMMON, "answer_1", "answer_2"),
    "absolute": (*COMMON, "answer", "references"),
}
_NEEDED = {"pairwise": {"answer_1", "answer_2"}, "absolute": {"answer", "references"}}
_SHOWN_REPLY = 4000  # characters of an invalid reply that go back with the request to repair it
# Autoescape is off because prompts are rendered, not HTML.
_ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)

Turn = tuple[str, str]  # (role, text)


class InvalidVerdict(ValueError):
    """A reply that is no valid verdict. The message says why, so that the judge can repair it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A valid reply: points by criterion for each answer in the order shown, and the explanation."""

    points: tuple[Mapping[str, float], ...]
    explanation: str


@dataclass(frozen=True)
class Rubric:
    """The prompts, criteria and scale of a judge. Prompts are Jinja2 templates; points range from `low` to `high`.

    `criteria` maps each criterion's name to its meaning. `template` asks for a verdict, `repair` asks to correct an
    invalid reply. Raises ValueError for templates, criteria or scales that cannot work.
    """

    name: str
    kind: Kind
    criteria: Mapping[str, str]
    low: float
    high: float
    system: str
    template: str
    repair: str
    max_answer_characters: int = 20_000

    def __post_init__(self) -> None:
        """Refuse templates with unknown or missing variables, bad criteria and an empty scale."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; valid: {', '.join(KINDS)}")
        if not self.criteria:
            raise ValueError("criteria: at least one is needed, such as {usefulness: how far the answer helps}")
        if bad := [name for name in self.criteria if not name.isidentifier()]:
            raise ValueError(f"criteria: {bad[0]!r} is no name; use letters, digits and _")
        if not self.low < self.high:
            raise ValueError(f"scale is [{self.low:g}, {self.high:g}]; give the lowest and the highest, [0, 10]")
        used = {part: _variables(part, getattr(self, part)) for part in ("system", "template", "repair")}
        for part, names in used.items():
            known = {*VARIABLES[self.kind], *(("problem",) if part == "repair" else ())}
            if unknown := sorted(names - known):
                raise ValueError(
                    f"{part}: unknown variable {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
                )
        if missing := sorted(_NEEDED[self.kind] - used["template"]):
            raise ValueError(f"template: {', '.join(missing)} is not used, so the judge would not see what it judges")
        if "problem" not in used["repair"]:
            raise ValueError("repair: problem is not used, so the judge would not learn what is wrong")

    @property
    def digest(self) -> str:
        """A digest of the content. It is part of the metric's version, because a changed prompt is another measure."""
        parts = [self.kind, dict(self.criteria), self.low, self.high, self.system, self.template, self.repair]
        text = json.dumps([*parts, self.max_answer_characters], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def answers(self) -> tuple[str, ...]:
        """The keys of a reply that hold points, in the order in which the answers are shown."""
        return ("answer_1", "answer_2") if self.kind == "pairwise" else ("answer",)

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of a reply. It has no range of points, which some endpoints refuse; `read` checks the range.

        The explanation comes first, so that the judge reasons before it gives points.
        """
        numbers: dict[str, Any] = {
            name: {"type": "number", "description": text} for name, text in self.criteria.items()
        }
        points = _object(numbers)
        text: dict[str, Any] = {"type": "string", "description": "why, in a few sentences"}
        return _object({"explanation": text, **dict.fromkeys(self.answers, points)})

    def ask(self, case: Case, order: int, *, image: bool = False) -> tuple[Turn, ...]:
        """Return the turns that ask about a case. In order 2 the rival's answer is shown first."""
        values: dict[str, Any] = {
            "question": self._cut(case.question),
            "field": _sendable(case.field),
            "doc_class": _sendable(case.doc_class),
            "image": image,
            **self._told(),
        }
        if self.kind == "pairwise":
            shown = [self._cut(case.prediction or ""), self._cut(case.rival or "")]
            values["answer_1"], values["answer_2"] = shown if order == 1 else shown[::-1]
        else:
            values |= {"answer": self._cut(case.prediction or ""), "references": [*map(self._cut, case.references)]}
        turns = (("system", self.system), ("user", self.template))
        return tuple((role, _render(text, values)) for role, text in turns if text.strip())

    def ask_again(self, turns: Sequence[Turn], reply: str, problem: str) -> tuple[Turn, ...]:
        """Return the turns that ask the judge to repair its reply."""
        values = {"problem": problem, **self._told()}
        return (*turns, ("assistant", reply[:_SHOWN_REPLY] or "(empty)"), ("user", _render(self.repair, values)))

    def read(self, reply: str) -> Reply:
        """Parse a reply. Raise InvalidVerdict without JSON, for a missing or empty part or points outside the scale."""
        try:
            verdict = self._model.model_validate(_json_object(reply), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
            raise InvalidVerdict(f"{where}: {first['msg']}{more}") from error
        points = tuple(getattr(verdict, name).model_dump() for name in self.answers)
        return Reply(points, str(verdict.explanation))  # type: ignore[attr-defined]

    @functools.cached_property
    def _model(self) -> type[BaseModel]:
        number = Annotated[float, Field(ge=self.low, le=self.high, allow_inf_nan=False)]
        fields: dict[str, Any] = dict.fromkeys(self.criteria, (number, ...))
        points = create_model("Points", __config__=ConfigDict(extra="ignore"), **fields)
        text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
        parts: dict[str, Any] = {"explanation": (text, ...), **dict.fromkeys(self.answers, (points, ...))}
        return create_model("Verdict", __config__=ConfigDict(extra="ignore"), **parts)

    def _told(self) -> dict[str, Any]:
        """Return the template variables that come from the rubric; `shape` shows the JSON that is expected."""
        points = ", ".join(f'"{name}": <{self.low:g}-{self.high:g}>' for name in self.criteria)
        answers = ", ".join(f'"{name}": {{{points}}}' for name in self.answers)
        shape = f'{{"explanation": "<text>", {answers}}}'
        return {"criteria": dict(self.criteria), "low": f"{self.low:g}", "high": f"{self.high:g}", "shape": shape}

    def _cut(self, text: str) -> str:
        """Truncate a very long text, with a note at its end, so that it does not fill the judge's context."""
        text = _sendable(text)
        left = len(text) - self.max_answer_characters
        return text if left <= 0 else f"{text[: self.max_answer_characters]}\n[... {left} more characters, cut]"


def _sendable(text: str) -> str:
    """Return a text without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode()


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _variables(part: str, text: str) -> set[str]:
    try:
        return set(meta.find_undeclared_variables(_ENVIRONMENT.parse(text))) - set(_ENVIRONMENT.globals)
    except TemplateSyntaxError as error:
        raise ValueError(f"{part}, line {error.lineno}: {error.message}") from error


@functools.lru_cache(maxsize=64)
def _compiled(text: str) -> Any:
    return _ENVIRONMENT.from_string(text)


def _render(text: str, values: Mapping[str, Any]) -> str:
    try:
        return str(_compiled(text).render(values)).strip()
    except UndefinedError as error:
        raise ValueError(f"the judge's prompt: {error}") from error


def _json_object(text: str) -> Any:
    """Return the last JSON object in a reply: judges put it after their reasoning or into a code block."""
    decoder = json.JSONDecoder()
    last, problem = None, ""
    start = text.find("{")
    while start >= 0:
        try:
            last, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            problem = f"not JSON: {error}"
            end = start + 1
        start = text.find("{", end)
    if last is None or (problem and "explanation" not in last):  # the latter: only a part of a broken object
        raise InvalidVerdict(problem or "there is no JSON object")
    return last
