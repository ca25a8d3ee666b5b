"""The judging stage of a job: answers.jsonl in, verdicts.jsonl and what it cost out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metrics.api import Case
from metrics.judge import State, cannot_judge
from runner import answers, paths, verdicts
from runner.judging import forecast
from runner.judging.budget import Ledger, Price, Spending
from runner.judging.conversation import Conversation, Interview
from runner.judging.planned import Judging, PlannedJudge
from runner.judging.rivals import with_rivals
from runner.progress import Progress
from runner.store import Shelf

Asked = tuple[Case, int, Conversation]  # a case, the order in which it was shown, and what was said


@dataclass
class Judged:
    """What judging leaves besides verdicts.jsonl: figures to be tracked, and what a reader of them must know."""

    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def judge(judging: Judging, folder: Path, name: str, command: str) -> Judged:
    """Have all answers of a job's folder judged and write verdicts.jsonl; what the store holds isn't asked again.

    `command` names the command that pays: all its jobs share one budget.
    """
    rows = list(answers.read(folder / "answers.jsonl"))
    cases = with_rivals([answers.case(row) for row in rows], judging.rivals)
    result = Judged()
    ledger = Ledger(paths.store_dir() / "budgets" / f"{command}.json", judging.config.budget_usd)
    written: list[dict[str, Any]] = []
    totals = dict.fromkeys(("prompt_tokens", "completion_tokens", "cost_usd", "paid_usd"), 0.0)
    for planned in judging.judges:
        with Shelf.of(paths.store_dir(), planned.spec) as shelf:
            written += _one_judge(judging, planned, cases, shelf, ledger, name, result, totals)
    verdicts.write(folder, written)
    unpriced = [one.name for one in judging.judges if one.settings.input_usd is None]
    costs = ("cost_usd", "paid_usd") if unpriced else ()
    result.figures |= {f"judge/{key}": value for key, value in totals.items() if key not in costs}
    heard = verdicts.attached(cases, folder)
    result.figures |= {f"judge/{key}": value for key, value in judging.metric.agreement(heard).items()}
    if judging.rubric.kind == "pairwise" and judging.rivals is None:
        result.notes.append("judge: compared with the rival of the table, else the first reference of each sample")
    return result


def _one_judge(
    judging: Judging,
    planned: PlannedJudge,
    cases: Sequence[Case],
    shelf: Shelf,
    ledger: Ledger,
    name: str,
    result: Judged,
    totals: dict[str, float],
) -> Iterator[dict[str, Any]]:
    metric = judging.metric
    price = Price.of_judge(planned.settings)
    spending = Spending(price, ledger)
    interview = Interview(planned, judging.rubric, shelf, spending, judging.config.image_max_side)
    # 1. What is to be asked: equal questions once.
    shared: dict[tuple[object, ...], Conversation] = {}
    asked: list[Asked] = []
    for case in cases:
        if cannot_judge(judging.rubric.kind, case):
            continue
        images = case.images if judging.config.image else ()
        for order in metric.shown_in(case):
            turns = judging.rubric.ask(case, order, image=bool(images))
            if (turns, images) not in shared:
                shared[turns, images] = interview.open(turns, images)
            asked.append((case, order, shared[turns, images]))
    # 2. What it will cost.
    conversations = list(shared.values())
    missing = [one for one in conversations if one.failure is None and interview.stored(one.asked[0]) is None]
    forecast.before_asking(name, interview, conversations, missing)
    # 3. Ask.
    with Progress(f"{name}: judge {planned.name}", len(missing)) as progress:
        interview.hold(conversations, progress)
    # 4. Account.
    generations = {key: one for con in conversations for key in con.asked if (one := interview.stored(key))}
    for generation in generations.values():
        totals["prompt_tokens"] += generation.prompt_tokens or 0
        totals["completion_tokens"] += generation.completion_tokens or 0
        totals["cost_usd"] += price.of(generation.prompt_tokens or 0, generation.completion_tokens or 0)
    totals["paid_usd"] += spending.paid
    result.notes += [*interview.notes, *_notes(planned, conversations, spending)]
    return (_row(planned, case, order, one, interview) for case, order, one in asked)


def _state(one: Conversation) -> State:
    if one.reply is not None:
        return "valid"
    if one.failure is None:
        return "invalid"
    return "not_asked" if one.failure.kind == "over_budget" else "failed"


def _notes(planned: PlannedJudge, conversations: Sequence[Conversation], spending: Spending) -> Iterator[str]:
    """Yield what was not judged, and why."""
    who = f"judge {planned.name}"
    states = [_state(one) for one in conversations]
    for state, words in (("failed", "failed"), ("invalid", "are invalid"), ("not_asked", "were not asked")):
        if number := states.count(state):  # type: ignore[arg-type]
            first = next(one for one in conversations if _state(one) == state)
            why = first.failure.message if first.failure else first.problem
            yield f"{who}: {number} of {len(states)} verdicts {words}, the first: {why}"[:400]
    if spending.doubtful:
        yield f"{who}: requests that broke off may have cost up to {spending.doubtful:.4f} USD more"
    if spending.factor > 1:
        yield f"{who}: a request took {spending.factor:.1f} times the tokens foreseen; raise its image_tokens"


def _row(planned: PlannedJudge, case: Case, order: int, one: Conversation, interview: Interview) -> dict[str, Any]:
    """Return a row of verdicts.jsonl. In order 2 the rival was shown first."""
    points = list(one.reply.points) if one.reply else []
    own, other = [*(reversed(points) if order == 2 else points), {}, {}][:2]
    generations = [found for key in one.asked if (found := interview.stored(key))]
    prompt = sum(found.prompt_tokens or 0 for found in generations)
    completion = sum(found.completion_tokens or 0 for found in generations)
    priced = planned.settings.input_usd is not None
    return {
        "sample_id": case.sample_id,
        "repeat": case.repeat,
        "judge": planned.name,
        "order": order,
        "state": _state(one),
        "candidate": dict(own),
        "rival": dict(other),
        "explanation": one.reply.explanation if one.reply else "",
        "problem": (one.failure.message if one.failure else "" if one.reply else one.problem),
        "rival_answer": case.rival,
        "replies": one.texts,
        "served_model": generations[-1].served_model if generations else None,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cost_usd": interview.spending.price.of(prompt, completion) if priced else None,
    }
