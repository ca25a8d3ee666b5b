"""The judging stage of a job: its answers in, its verdicts and what they cost out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.api import Case
from metrics.judge import State, cannot_judge
from runner.base import paths
from runner.base.progress import Progress
from runner.jobs.folder import JobFolder
from runner.scoring import verdicts
from runner.scoring.judging import forecast
from runner.scoring.judging.budget import Ledger, Price, Spending
from runner.scoring.judging.conversation import Conversation, Interview
from runner.scoring.judging.planned import Judging, PlannedJudge
from runner.scoring.judging.rivals import with_rivals
from runner.store import Shelf

log = logging.getLogger(__name__)
Asked = tuple[Case, int, Conversation]  # a case, the order in which it was shown, and what was said


# A verdict gives way only to one that says as much: what an endpoint that is down leaves unsaid replaces nothing.
_RANK: Mapping[State, int] = {"valid": 2, "invalid": 1, "failed": 0, "not_asked": 0}


@dataclass
class Judged:
    """What judging leaves besides verdicts.jsonl: figures to be tracked, and what a reader of them must know.

    `stays`: nothing was heard, and what another judge or rubric said earlier was left as it is.
    """

    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stays: bool = False


def judge(judging: Judging, folder: JobFolder, answered: Sequence[Case], name: str, command: str) -> Judged:
    """Have all answers of a job judged and write verdicts.jsonl; what the store holds isn't asked again.

    `command` names the command that pays: all its jobs share one budget. A verdict that the folder holds already stays
    where the same judge says less this time, and all of them where another one says nothing at all.
    """
    cases = with_rivals(answered, judging.rivals)
    result = Judged()
    ledger = Ledger(paths.store_dir() / "budgets" / f"{command}.json", judging.config.budget_usd)
    earlier = Earlier(judging, folder)
    written: list[dict[str, Any]] = []
    totals = dict.fromkeys(("prompt_tokens", "completion_tokens", "cost_usd", "paid_usd"), 0.0)
    for planned in judging.judges:
        with Shelf.of(paths.store_dir(), planned.spec) as shelf:
            interview = Interview(
                planned,
                judging.rubric,
                shelf,
                Spending(Price.of_judge(planned.settings), ledger),
                judging.config.image_max_side,
                _asked_by(command),
            )
            written += _one_judge(judging, interview, cases, earlier, name, result, totals)
    if earlier.heard and not any(map(_is_heard, written)):
        why = next((row["problem"] for row in written if row["problem"]), "nothing was asked")
        result.notes = [f"judge: no reply at all, so the earlier verdicts stay, by {earlier.who}. {why}"[:400]]
        log.warning("%s: %s", name, result.notes[0])
        return Judged(notes=result.notes, stays=True)
    folder.write_verdicts(written)
    unpriced = [one.name for one in judging.judges if one.settings.input_usd is None]
    costs = ("cost_usd", "paid_usd") if unpriced else ()
    result.figures |= {f"judge/{key}": value for key, value in totals.items() if key not in costs}
    heard = verdicts.attached(cases, folder)
    result.figures |= {f"judge/{key}": value for key, value in judging.metric.agreement(heard).items()}
    if judging.rubric.kind == "pairwise" and judging.rivals is None:
        result.notes.append("judge: compared with the rival of the table, else the first reference of each sample")
    return result


@functools.lru_cache(maxsize=8)
def _asked_by(command: str) -> set[str]:
    """Return the requests that this process has asked for a command, whose jobs may ask the same."""
    del command
    return set()


def _is_heard(row: Mapping[str, Any]) -> bool:
    return _RANK[row["state"]] > 0


class Earlier:
    """The verdicts that a job's folder holds from an earlier judging."""

    def __init__(self, judging: Judging, folder: JobFolder) -> None:
        """Read them."""
        self.judging = judging
        rows = list(folder.verdicts())
        self.heard = any(map(_is_heard, rows))
        versions = folder.environment["metric_versions"]
        self.who = next((row["judged_by"] for row in rows if row.get("judged_by")), versions.get("judge", "unknown"))
        # Rows of older versions don't say who judged; the version of the whole judging does.
        self._same = versions.get("judge") == judging.metric.version
        self._rows = {(row["sample_id"], row["repeat"], row["judge"], row["order"]): row for row in rows}

    def better(self, row: Mapping[str, Any], judge: PlannedJudge) -> dict[str, Any] | None:
        """Return the earlier verdict in place of a new one that says less: of the same judge on the same answers."""
        found = self._rows.get((row["sample_id"], row["repeat"], row["judge"], row["order"]))
        if found is None or _RANK[found["state"]] <= _RANK[row["state"]]:
            return None
        by = self.judging.judged_by(judge)
        same = found["judged_by"] == by if "judged_by" in found else self._same
        if not same or found["rival_answer"] != row["rival_answer"]:
            return None
        return {**found, "judged_by": by}


def _one_judge(
    judging: Judging,
    interview: Interview,
    cases: Sequence[Case],
    earlier: Earlier,
    name: str,
    result: Judged,
    totals: dict[str, float],
) -> list[dict[str, Any]]:
    """Have one judge asked; return the rows of verdicts.jsonl."""
    planned, spending = interview.judge, interview.spending
    asked = _questions(judging, interview, cases)
    conversations = list({id(one): one for _, _, one in asked}.values())
    # 1. What it will cost.
    missing = interview.missing(conversations)
    forecast.before_asking(name, interview, conversations, missing)
    # 2. Ask.
    with Progress(f"{name}: judge {planned.name}", len(missing)) as progress:
        interview.hold(missing, progress)
    # 3. A row for each answer; what says less than an earlier verdict gives way to it.
    rows, paid_for = [], dict[int, Mapping[str, Any]]()
    for case, order, one in asked:
        row = _row(judging, planned, case, order, one, interview)
        if (before := earlier.better(row, planned)) is not None:
            row = before
            paid_for[id(one)] = before
        rows.append(row)
    # 4. Account.
    generations = {
        key: said
        for one in conversations
        for key in one.asked
        if id(one) not in paid_for and (said := interview.stored(key))
    }
    for prompt, completion in [
        *((said.prompt_tokens or 0, said.completion_tokens or 0) for said in generations.values()),
        *((row["prompt_tokens"], row["completion_tokens"]) for row in paid_for.values()),
    ]:
        totals["prompt_tokens"] += prompt
        totals["completion_tokens"] += completion
        totals["cost_usd"] += spending.price.of(prompt, completion)
    totals["paid_usd"] += spending.paid
    result.notes += [*interview.notes, *_notes(planned, conversations, spending)]
    if paid_for:
        result.notes.append(f"judge {planned.name}: {len(paid_for)} verdicts of an earlier judging stay in their place")
    return rows


def _questions(judging: Judging, interview: Interview, cases: Sequence[Case]) -> list[Asked]:
    """Return what is to be asked about each case; equal questions share one conversation."""
    metric = judging.metric
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
    return asked


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


def _row(
    judging: Judging, planned: PlannedJudge, case: Case, order: int, one: Conversation, interview: Interview
) -> dict[str, Any]:
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
        "judged_by": judging.judged_by(planned),
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
