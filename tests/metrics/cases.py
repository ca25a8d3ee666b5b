"""Cases in one line, for the tests beside this file."""

import functools
import json
from collections.abc import Sequence

from hypothesis import settings

from metrics.aggregate import Aggregate, aggregate
from metrics.api import Case, Metric, Score
from metrics.registry import create

# The same examples every time, and no deadline: a shared machine may pause for longer than a test takes.
quick = settings(max_examples=60, deadline=None, derandomize=True)


@functools.cache
def _made(metric: str, options: str) -> Metric:
    return create(metric, json.loads(options))


def case(prediction: str | None, *references: str, sample_id: str = "a", document: str = "", **more) -> Case:
    """Return a case; its document is its own unless named."""
    return Case(
        sample_id=sample_id, document=document or sample_id, prediction=prediction, references=references, **more
    )


def cases_of(pairs: Sequence[tuple[str | None, str]]) -> list[Case]:
    """Return cases of (prediction, reference), each a document of its own."""
    return [case(answer, truth, sample_id=str(row)) for row, (answer, truth) in enumerate(pairs)]


def score(metric: str, one: Case, options: dict | None = None) -> dict[str, Score]:
    """Score one case; the measures by name."""
    return {made.name: made for made in _made(metric, json.dumps(options)).score([one])}


def overall(metric: str, cases: Sequence[Case], options: dict | None = None, **settings) -> dict[str, Aggregate]:
    """Return the figures over all cases by measure."""
    made = _made(metric, json.dumps(options))
    figures = aggregate(cases, made.score(cases), [made], replicates=settings.pop("replicates", 50), **settings)
    return {one.measure: one for one in figures if one.doc_class is None}
