"""What the report says if all candidates fail alike: no recommendation, but what to check first.

If every candidate is at the worst end of the scale (exact match 0.0 %), the models are seldom the reason: the prompt
asks for something else, or the answers have another format than the references.
"""

from __future__ import annotations

from collections.abc import Sequence

from metrics.api import Measure
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import family

# A cause is named if at least this share of the answers shows it.
NOTABLE = 0.3


def at_the_floor(measure: Measure, values: Sequence[float]) -> bool:
    """Tell whether all values are at the worst end of the measure's scale (of error rates: an empty answer's value)."""
    if measure.better == "higher":
        return bool(values) and all(value <= measure.low for value in values)
    worst = measure.worst if measure.high is None else measure.high
    return bool(values) and worst is not None and all(value >= worst for value in values)


def reason(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Return the report's sentences: that all candidates fail, what to check first, and what a finer measure shows."""
    say, measure = compared.texts, compared.measure
    assert measure is not None
    values = [value for candidate in scored if (value := compared.quality(candidate)) is not None]
    ends = dict.fromkeys(figure(tracked(measure), value, say) for value in (min(values), max(values)))
    range_of_values = " – ".join(ends)  # error rates can exceed 1, so the values may differ
    text = say("verdict.all_fail", n=len(scored), measure=say.name(measure.name), value=range_of_values)
    return " ".join([text, _hint(compared, scored), _finer(compared, scored)]).strip()


def _hint(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Return what to check first: the limit of tokens, empty answers, the format of answers, or the prompt."""
    answers = [
        (key, answer) for candidate in scored for key, answer in candidate.answers.items() if answer.text is not None
    ]
    if not answers:
        return ""
    truncated = sum(answer.truncated for _, answer in answers)
    empty = sum(not (answer.text or "").strip() for _, answer in answers)
    within = sum(_contains(compared, key[0], answer.text or "") for key, answer in answers)
    for count, cause in ((truncated, "truncated"), (empty, "empty"), (within, "within")):
        if count / len(answers) >= NOTABLE:
            return compared.texts(f"verdict.fail_{cause}", share=compared.texts.number(count / len(answers), ".0%"))
    return compared.texts("verdict.fail_prompt")


def _contains(compared: Comparison, sample: str, text: str) -> bool:
    """Tell whether an answer contains a reference, whatever surrounds it."""
    known = compared.samples.get(sample)
    return known is not None and any(
        reference.strip().casefold() in text.casefold() for reference in known.references if reference.strip()
    )


def _finer(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Return the result of the first other measure that is not at its floor; an empty text if there is none."""
    say = compared.texts
    for measure in compared.measures[1:]:
        name = tracked(measure)
        values = {candidate: value for candidate in scored if (value := candidate.metric(name)) is not None}
        if len(values) < 2 or len(set(values.values())) < 2 or at_the_floor(measure, list(values.values())):
            continue
        sign = -1 if measure.better == "higher" else 1
        best = min(values, key=lambda candidate, values=values, sign=sign: sign * values[candidate])  # type: ignore[misc]
        others = [candidate for candidate in values if candidate is not best]
        tested = family(compared, measure, best, others, best_of=len(values))
        worse = sum(verdict.word == "worse" for verdict in tested.values())
        return say(
            "verdict.finer_separates" if worse else "verdict.finer_open",
            measure=say.name(measure.name),
            best=best.label,
            value=figure(name, values[best], say),
            n=worse,
            confidence=say.number(compared.settings.confidence, ".0%"),
        )
    return ""
