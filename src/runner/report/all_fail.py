"""Where all candidates fail alike there is nothing to choose by: what to look at instead.

A figure at the end of its scale for everybody (exact match 0.0 %) is seldom the models' fault: the prompt asks for
something else, or the answers come in another form than the references.
"""

from __future__ import annotations

from collections.abc import Sequence

from metrics.api import Measure
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import family

# From this share of the answers on, something is named as what to look at first.
NOTABLE = 0.3


def at_the_floor(measure: Measure, values: Sequence[float]) -> bool:
    """Tell whether all figures are at the worst end of the measure's scale, or beyond that of an empty answer."""
    if measure.better == "higher":
        return bool(values) and all(value <= measure.low for value in values)
    worst = measure.worst if measure.high is None else measure.high
    return bool(values) and worst is not None and all(value >= worst for value in values)


def reason(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Say that everybody fails, what to look at, and what a finer measure tells."""
    say, measure = compared.texts, compared.measure
    assert measure is not None
    values = [value for one in scored if (value := compared.quality(one)) is not None]
    ends = dict.fromkeys(figure(tracked(measure), value, say) for value in (min(values), max(values)))
    told = " – ".join(ends)  # error rates may be beyond the end of the scale, each by another length
    text = say("verdict.all_fail", n=len(scored), measure=say.name(measure.name), value=told)
    return " ".join([text, _hint(compared, scored), _finer(compared, scored)]).strip()


def _hint(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Say whether to look at the limit of tokens, at empty answers, at the form of answers, or at the prompt."""
    answers = [(key, answer) for one in scored for key, answer in one.answers.items() if answer.text is not None]
    if not answers:
        return ""
    truncated = sum(answer.truncated for _, answer in answers)
    empty = sum(not (answer.text or "").strip() for _, answer in answers)
    within = sum(_contains(compared, key[0], answer.text or "") for key, answer in answers)
    for found, what in ((truncated, "truncated"), (empty, "empty"), (within, "within")):
        if found / len(answers) >= NOTABLE:
            return compared.texts(f"verdict.fail_{what}", share=compared.texts.number(found / len(answers), ".0%"))
    return compared.texts("verdict.fail_prompt")


def _contains(compared: Comparison, sample: str, text: str) -> bool:
    """Tell whether an answer has a reference in it, whatever stands around it."""
    known = compared.samples.get(sample)
    return known is not None and any(
        one.strip().casefold() in text.casefold() for one in known.references if one.strip()
    )


def _finer(compared: Comparison, scored: Sequence[Candidate]) -> str:
    """Return what the first other measure says that is not at its floor, too."""
    say = compared.texts
    for measure in compared.measures[1:]:
        name = tracked(measure)
        values = {one: value for one in scored if (value := one.metric(name)) is not None}
        if len(values) < 2 or len(set(values.values())) < 2 or at_the_floor(measure, list(values.values())):
            continue
        sign = -1 if measure.better == "higher" else 1
        best = min(values, key=lambda one, values=values, sign=sign: sign * values[one])  # type: ignore[misc]
        others = [one for one in values if one is not best]
        tested = family(compared, measure, best, others, best_of=len(values))
        worse = sum(one.word == "worse" for one in tested.values())
        return say(
            "verdict.finer_separates" if worse else "verdict.finer_open",
            measure=say.name(measure.name),
            best=best.label,
            value=figure(name, values[best], say),
            n=worse,
            confidence=say.number(compared.settings.confidence, ".0%"),
        )
    return ""
