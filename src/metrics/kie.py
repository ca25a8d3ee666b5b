"""Key information extraction: the JSON in an answer, scored as what was extracted from a document.

answer '{"номер": "12", "итог": 7, "скидка": "0"}', reference '{"номер": "12", "итог": "8", "скидка": null}'
->  kie_precision 1/3, kie_recall 1/2, kie_f1 2/5, kie_strict 0, kie_invented 1/3, kie_missing 0/2, kie_nulls 0/1

`metrics.extraction` says which values belong together, `metrics.fields` how they are read, `metrics.anls_star` how
similar the two are as a whole.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrics import extraction, json_answers, json_schema
from metrics.anls_star import anls_star, checked
from metrics.api import Case, Measure, Score
from metrics.extraction import Counts, Extraction, Tree
from metrics.fields import FieldKinds, read_as, written_amount
from metrics.normalisation import Normalisation, visible
from metrics.statistics import ratio_of_sums
from metrics.structured import json_text
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array
    from metrics.json_schema import JsonSchema

_SOURCE = "this project"
_ANLS_STAR = 'Peer et al. 2024, "ANLS*"'
_MOST_KEYS = 300  # of a dataset with more, the keys are data, and a mean over them says nothing
_NO_JSON = "the reference is no JSON object or list"


def _share(name: str, better: str, formula: str) -> Measure:
    return Measure(name, better, "corpus", 0, 1, formula, _SOURCE)  # type: ignore[arg-type]


def _mean(name: str, formula: str, source: str = _SOURCE, *, by_key: bool = False) -> Measure:
    return Measure(name, "higher", "mean", 0, 1, formula, source, by_key=by_key)


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference as it is compared, with a null under each key of the schema that it lacks."""

    tree: Tree
    of_scalars: bool  # a list of single values, with which any list of an answer is compared


class KeyInformation:
    """Scores the JSON of an answer as the keys and values that were extracted from a document.

    `json_answers` decides which JSON of an answer counts. Items of lists are paired whatever their order. Null, an
    empty text, an empty list and a missing key are the same: no value. `fields` sets the kinds of keys
    (`позиции[].цена` or `цена`); a schema sets those of numbers and dates. `schema` is the path of a JSON Schema, or
    the schema itself. A case is unscored if its reference holds no JSON, or other keys than the schema.
    """

    env = "current"
    measures = (
        _share("kie_f1", "higher", "2 x right values / (values of the answers + of the references)"),
        _mean("kie_strict", "share of answers in which every key is right and none is invented"),
        _mean("kie_anls", "mean of ANLS*: similarities of paired leaves / leaves of both", _ANLS_STAR),
        _share("kie_invented", "lower", "values where the reference has none / values of the answers"),
        _share("kie_missing", "lower", "values of the references that the answer lacks / values of the references"),
        _share("kie_precision", "higher", "right values / values of the answers"),
        _share("kie_recall", "higher", "right values / values of the references"),
        _mean("kie_f1_macro", "mean over keys of 2 x right / (answered + wanted)", by_key=True),
        _mean("kie_precision_macro", "mean over keys of right / answered; 0 for a key never answered", by_key=True),
        _mean("kie_recall_macro", "mean over keys of right / wanted", by_key=True),
        _share("kie_nulls", "higher", "keys left without a value / keys that are null in the references"),
        _mean(
            "kie_valid", "share of answers with a whole JSON object or list that follows the schema, if there is one"
        ),
    )

    def __init__(
        self,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
        schema: str | Path | Mapping[str, Any] | None = None,
        at_threshold: str = "docvqa",
    ) -> None:
        self.normalisation = Normalisation().with_options(normalisation)
        self.fields = FieldKinds.of(fields)
        self.at_threshold = checked(at_threshold)
        self._given = schema
        # Of one document, and what all share. More would grow with the data set, and 3 kB are quickly read again.
        self._read = functools.lru_cache(maxsize=10_000)(self._text)
        self._of_reference = functools.lru_cache(maxsize=1_000)(self._reference)

    @functools.cached_property
    def schema(self) -> JsonSchema | None:
        """The schema, read when it is first needed. Raises ValueError where it is none."""
        return None if self._given is None else json_schema.load(self._given)

    @property
    def version(self) -> str:
        """Definition, normalisation, kinds of keys, schema and setting of ANLS*: what decides the numbers."""
        try:
            schema = f"schema:{self.schema.digest}" if self.schema else ""
        except ValueError:  # a report of old scores needs none; what scores calls `check` first
            schema = "schema:unreadable"
        paper = "at_threshold=paper" if self.at_threshold == "paper" else ""
        return " ".join(filter(None, ("2", str(self.normalisation), str(self.fields), schema, paper)))

    def check(self) -> None:
        """Read the schema. Raise ValueError where it is none."""
        _ = self.schema

    def check_reference(self, text: str) -> str:
        """Say in what the keys of a reference are not those of the schema; empty where they are, or without JSON."""
        value = self._json(text)
        return self.schema.unlike(value) if self.schema and value is not None else ""

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure, and for each known key precision, recall and F1 as parts.

        Known are the keys of the references and of the schema. What a model invents beyond them is counted overall.
        """
        keys = self._known(cases)
        for case in cases:
            reason, prediction, texts = prepare(case, str)
            wanted, problem = self._wanted(case, texts) if not reason else ([], "")
            if reason or not wanted:
                yield from unscored(case, self.measures, reason or problem)
                continue
            of_scalars = any(reference.of_scalars for reference in wanted)
            match = json_answers.find(self._seen(prediction), of_scalars=of_scalars)
            answer = extraction.tree(match.value, functools.partial(self._leaf, case.doc_class))
            result = max((extraction.compare(reference.tree, answer) for reference in wanted), key=_rank)
            if match.value is None:
                result.nulls_right = 0  # it said nothing of them
            lowered = [_lowered(reference.tree) for reference in wanted]
            alike = anls_star(lowered, _lowered(answer), self.at_threshold) if match.value is not None else 0.0
            yield from self._scores(case, match, result, alike, keys)

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed statistics (..., k) into figures (...): a ratio, or a mean over keys."""
        return _macro(name, totals) if name.endswith("_macro") else ratio_of_sums(totals)

    # --------------------------------------------------------------------------------------------- reading

    def _seen(self, text: str) -> str:
        return visible(text) if self.normalisation.invisible else text

    def _json(self, text: str) -> Any:
        return json_answers.of_reference(self._seen(text))

    def _known(self, cases: Sequence[Case]) -> dict[str, None]:
        """Return the keys of the schema and of all references, sorted. A value without a key has none."""
        keys = set(self.schema.keys()) if self.schema else set()
        for case in cases:
            for text in case.references:
                reference, _ = self._of_reference(case.doc_class, text)
                if reference is not None:
                    keys.update(key for key, _ in extraction.leaves(reference.tree))
        return dict.fromkeys(sorted(keys - {""}))

    def _wanted(self, case: Case, texts: Sequence[str]) -> tuple[list[_Reference], str]:
        """Return the references that can be compared with, or a reason why there is none."""
        read = [self._of_reference(case.doc_class, text) for text in texts]
        reasons = [reason for reference, reason in read if reference is None]
        return [reference for reference, _ in read if reference is not None], reasons[0] if reasons else _NO_JSON

    def _reference(self, doc_class: str, text: str) -> tuple[_Reference | None, str]:
        value = self._json(text)
        if value is None:
            return None, _NO_JSON
        if self.schema and (unlike := self.schema.unlike(value)):
            return None, f"the reference doesn't fit the schema: {unlike}"[:500]
        whole = self.schema.filled(value) if self.schema else value
        tree = extraction.tree(whole, functools.partial(self._leaf, doc_class))
        return _Reference(tree, json_answers.is_of_scalars(value)), ""

    def _leaf(self, doc_class: str, value: Any, key: str) -> str:
        return self._read(doc_class, key, type(value).__name__, value)

    @functools.cached_property
    def _schema_kinds(self) -> dict[str, str]:
        return self.schema.keys() if self.schema else {}

    def _text(self, doc_class: str, key: str, kind_of_value: str, value: Any) -> str:  # noqa: ARG002 - see _read
        """Return a value as the text that is compared. `kind_of_value` keeps true apart from 1 in the cache."""
        kind = self.fields.kind(doc_class, key, key.rpartition(".")[2]) or self._schema_kinds.get(key)
        if kind in ("amount", "money") and isinstance(value, int | Decimal) and not isinstance(value, bool):
            number = Decimal(value)
            return written_amount(number) if number.is_finite() and abs(number.adjusted()) < 100 else json_text(value)
        text = json_text(value)
        return self.normalisation(read_as(kind, text) if kind else text)

    # --------------------------------------------------------------------------------------------- scores

    def _scores(
        self, case: Case, match: json_answers.JsonMatch, result: Extraction, alike: float, keys: Mapping[str, None]
    ) -> Iterator[Score]:
        """Yield the scores of one case and of its keys. Ratios of nothing weigh nothing.

        Where nothing was to be extracted and nothing was, the answer is right: it is shown as 1, everything else as 0.
        """
        right, answered, wanted = result.right, result.answered, result.wanted
        whole = match.value is not None
        empty = float(whole and not answered and not wanted)
        yield _ratio(case, "kie_f1", 2 * right, answered + wanted, detail=_detail(match, result), of_nothing=empty)
        yield _ratio(case, "kie_precision", right, answered, of_nothing=empty)
        yield _ratio(case, "kie_recall", right, wanted, of_nothing=empty)
        yield from _macros(case, result, keys, empty)
        yield _ratio(case, "kie_strict", whole and result.is_right, 1)
        yield _ratio(case, "kie_invented", len(result.invented), answered)
        yield _ratio(case, "kie_missing", len(result.missing), wanted)
        if result.nulls:
            yield _ratio(case, "kie_nulls", result.nulls_right, result.nulls)
        else:
            yield Score(case.sample_id, case.repeat, "kie_nulls", None, reason="no key is null in the reference")
        error = self.schema.error(match.value) if whole and self.schema else ""
        yield _ratio(case, "kie_valid", whole and not error, 1, detail=error or match.reason)
        yield Score(case.sample_id, case.repeat, "kie_anls", alike, (alike, 1.0))
        for key, counts in result.keys.items():
            if key in keys:
                yield from _of_key(case, key, counts)


def _rank(result: Extraction) -> tuple[float, int, int]:
    """Return a sort key by which the reference is chosen: highest F1, most right, fewest invented."""
    return result.f1, result.right, -len(result.invented)


def _lowered(tree: Tree) -> Tree:
    """Return a tree with its letters lower-cased, as ANLS* compares them."""
    if isinstance(tree, dict):
        return {name: _lowered(inner) for name, inner in tree.items()}
    if isinstance(tree, list):
        return [_lowered(inner) for inner in tree]
    return tree.lower() if isinstance(tree, str) else None


def _ratio(
    case: Case,
    name: str,
    numerator: float,
    denominator: float,
    part: str = "",
    detail: str = "",
    of_nothing: float = 0.0,
) -> Score:
    stats = (float(numerator), float(denominator))
    value = numerator / denominator if denominator else of_nothing
    return Score(case.sample_id, case.repeat, name, float(value), stats, part=part, detail=detail)


def _of_key(case: Case, key: str, counts: Counts) -> Iterator[Score]:
    """Yield the scores of one key: those that are defined."""
    yield _ratio(case, "kie_f1", 2 * counts.right, counts.answered + counts.wanted, key)
    if counts.answered:
        yield _ratio(case, "kie_precision", counts.right, counts.answered, key)
    if counts.wanted:
        yield _ratio(case, "kie_recall", counts.right, counts.wanted, key)


def _macros(case: Case, result: Extraction, keys: Mapping[str, None], of_nothing: float) -> Iterator[Score]:
    """Yield the means over keys; their statistics are (right, answered, wanted) of each known key in turn."""
    if not keys or len(keys) > _MOST_KEYS:
        reason = f"{len(keys):,} different keys in the references: no mean over keys (1 to {_MOST_KEYS})"
        for name in ("kie_f1_macro", "kie_precision_macro", "kie_recall_macro"):
            yield Score(case.sample_id, case.repeat, name, None, reason=reason)
        return
    nothing = Counts()
    counted = [result.keys.get(key, nothing) for key in keys]
    stats = tuple(float(n) for counts in counted for n in (counts.right, counts.answered, counts.wanted))
    asked = [counts for counts in counted if counts.wanted]
    for name, figure in _OF_KEY.items():
        value = sum(map(figure, asked)) / len(asked) if asked else of_nothing
        yield Score(case.sample_id, case.repeat, name, value, stats)


_OF_KEY: Mapping[str, Callable[[Counts], float]] = {
    "kie_f1_macro": lambda counts: 2 * counts.right / (counts.answered + counts.wanted),
    "kie_precision_macro": lambda counts: counts.right / counts.answered if counts.answered else 0.0,
    "kie_recall_macro": lambda counts: counts.right / counts.wanted,
}


def _macro(name: str, totals: Array) -> Array:
    """Return the mean over the keys that a reference has a value for; NaN where there is none."""
    import numpy as np

    right, answered, wanted = np.moveaxis(totals.reshape(*totals.shape[:-1], -1, 3), -1, 0)
    figures = {
        "kie_f1_macro": (2 * right, answered + wanted),
        "kie_precision_macro": (right, answered),
        "kie_recall_macro": (right, wanted),
    }
    numerator, denominator = figures[name]
    asked = wanted > 0
    each = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=asked & (denominator > 0))
    count = asked.sum(axis=-1)
    mean: Array = np.divide(each.sum(axis=-1), count, out=np.full(count.shape, math.nan), where=count > 0)
    return mean


def _detail(match: json_answers.JsonMatch, result: Extraction) -> str:
    """Say for people what was wrong."""
    if match.value is None:
        return match.reason
    groups = {
        "wrong": result.wrong,
        "missing": result.missing,
        "invented": result.invented,
        "given twice": match.repeated,
    }
    return "; ".join(f"{word}: {', '.join(dict.fromkeys(keys))[:300]}" for word, keys in groups.items() if keys)
