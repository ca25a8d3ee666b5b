"""The judging stage of a job: takes its answers, writes verdicts.jsonl, and returns the costs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.api import Case
from metrics.judge import State, cannot_judge
from runner.asking.budget import Ledger, Spending
from runner.base import paths
from runner.base.progress import Progress
from runner.jobs.folder import JobFolder
from runner.planning.prices import Price
from runner.scoring import judge_verdicts
from runner.scoring.judging import forecast
from runner.scoring.judging.conversation import Conversation, Interview
from runner.scoring.judging.planned import Judging, PlannedJudge
from runner.scoring.judging.rivals import with_rivals
from runner.store import Shelf

log = logging.getLogger(__name__)
Asked = tuple[Case, int, Conversation]  # (case, order in which its answers are shown, conversation)


# A new verdict replaces an earlier one only if its rank is at least as high: an endpoint that is down erases nothing.
_RANK: Mapping[State, int] = {"valid": 2, "invalid": 1, "failed": 0, "not_asked": 0}


@dataclass
class Judged:
    """What judging returns besides verdicts.jsonl: metrics to track, and notes for their reader.

    `earlier_kept` is true if there was no reply at all, so that the earlier verdicts were kept.
    """

    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    earlier_kept: bool = False


def judge(judging: Judging, folder: JobFolder, answered: Sequence[Case], name: str, command: str) -> Judged:
    """Have all answers of a job judged, and write verdicts.jsonl. Stored replies are not asked again.

    `command` identifies the command, whose jobs share one budget. An earlier verdict of the same judge is kept if the
    new one has a lower rank. All earlier verdicts are kept if there is no reply at all.
    """
    cases = with_rivals(answered, judging.rivals)
    result = Judged()
    ledger = Ledger(paths.store_dir() / "budgets" / f"{command}.json", judging.config.budget_usd)
    earlier = EarlierVerdicts(judging, folder)
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
    if earlier.has_replies and not any(map(_has_reply, written)):
        why = next((row["problem"] for row in written if row["problem"]), "nothing was asked")
        result.notes = [f"judge: no reply at all, so the earlier verdicts stay, by {earlier.judged_by}. {why}"[:400]]
        log.warning("%s: %s", name, result.notes[0])
        return Judged(notes=result.notes, earlier_kept=True)
    folder.write_verdicts(written)
    unpriced = [planned.name for planned in judging.judges if planned.settings.input_usd is None]
    costs = ("cost_usd", "paid_usd") if unpriced else ()
    result.figures |= {f"judge/{key}": value for key, value in totals.items() if key not in costs}
    heard = judge_verdicts.attached(cases, folder)
    result.figures |= {f"judge/{key}": value for key, value in judging.metric.agreement(heard).items()}
    if judging.rubric.kind == "pairwise" and judging.rivals is None:
        result.notes.append("judge: compared with the rival of the table, else the first reference of each sample")
    return result


@functools.lru_cache(maxsize=8)
def _asked_by(command: str) -> set[str]:
    """Return the set of requests that this process has asked for a command; the cache shares it between its jobs."""
    del command
    return set()


def _has_reply(row: Mapping[str, Any]) -> bool:
    return _RANK[row["state"]] > 0


class EarlierVerdicts:
    """The verdicts that a job's folder holds from an earlier judging."""

    def __init__(self, judging: Judging, folder: JobFolder) -> None:
        """Read the verdicts and who gave them."""
        self.judging = judging
        rows = list(folder.verdicts())
        self.has_replies = any(map(_has_reply, rows))
        versions = folder.environment["metric_versions"]
        self.judged_by = next(
            (row["judged_by"] for row in rows if row.get("judged_by")), versions.get("judge", "unknown")
        )
        # Rows of older versions have no `judged_by`; the metric's version in environment.json replaces it.
        self._same = versions.get("judge") == judging.metric.version
        self._rows = {(row["sample_id"], row["repeat"], row["judge"], row["order"]): row for row in rows}

    def better(self, row: Mapping[str, Any], judge: PlannedJudge) -> dict[str, Any] | None:
        """Return the earlier verdict of the same judge on the same answers, if it ranks higher than the new one."""
        earlier = self._rows.get((row["sample_id"], row["repeat"], row["judge"], row["order"]))
        if earlier is None or _RANK[earlier["state"]] <= _RANK[row["state"]]:
            return None
        by = self.judging.judged_by(judge)
        same = earlier["judged_by"] == by if "judged_by" in earlier else self._same
        if not same or earlier["rival_answer"] != row["rival_answer"]:
            return None
        return {**earlier, "judged_by": by}


def _one_judge(
    judging: Judging,
    interview: Interview,
    cases: Sequence[Case],
    earlier: EarlierVerdicts,
    name: str,
    result: Judged,
    totals: dict[str, float],
) -> list[dict[str, Any]]:
    """Ask one judge, add its costs to `totals` and its notes to `result`, and return the rows of verdicts.jsonl."""
    planned, spending = interview.judge, interview.spending
    asked = _questions(judging, interview, cases)
    conversations = list({id(conversation): conversation for _, _, conversation in asked}.values())
    # 1. Forecast the cost.
    missing = interview.missing(conversations)
    forecast.announce_cost_of_judge(name, interview, conversations, missing)
    # 2. Ask.
    with Progress(f"{name}: judge {planned.name}", len(missing)) as progress:
        interview.complete(missing, progress)
    # 3. Make a row for each answer; an earlier verdict of a higher rank is kept.
    rows, paid_for = [], dict[int, Mapping[str, Any]]()
    for case, order, conversation in asked:
        row = _row(judging, planned, case, order, conversation, interview)
        if (before := earlier.better(row, planned)) is not None:
            row = before
            paid_for[id(conversation)] = before
        rows.append(row)
    # 4. Sum up tokens and costs.
    generations = {
        key: reply
        for conversation in conversations
        for key in conversation.asked
        if id(conversation) not in paid_for and (reply := interview.stored(key))
    }
    for prompt, completion in [
        *((reply.prompt_tokens or 0, reply.completion_tokens or 0) for reply in generations.values()),
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
    """Return the conversations for all cases and orders. Equal questions share a conversation."""
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


def _state(conversation: Conversation) -> State:
    if conversation.reply is not None:
        return "valid"
    if conversation.failure is None:
        return "invalid"
    return "not_asked" if conversation.failure.kind == "over_budget" else "failed"


def _notes(planned: PlannedJudge, conversations: Sequence[Conversation], spending: Spending) -> Iterator[str]:
    """Yield notes about verdicts that are missing, and about unexpected costs."""
    who = f"judge {planned.name}"
    states = [_state(conversation) for conversation in conversations]
    for state, words in (("failed", "failed"), ("invalid", "are invalid"), ("not_asked", "were not asked")):
        if number := states.count(state):  # type: ignore[arg-type]
            first = next(conversation for conversation in conversations if _state(conversation) == state)
            why = first.failure.message if first.failure else first.problem
            yield f"{who}: {number} of {len(states)} verdicts {words}, the first: {why}"[:400]
    if spending.doubtful:
        yield f"{who}: requests that broke off may have cost up to {spending.doubtful:.4f} USD more"
    if spending.factor > 1:
        yield f"{who}: a request took {spending.factor:.1f} times the tokens foreseen; raise its image_tokens"


def _row(
    judging: Judging, planned: PlannedJudge, case: Case, order: int, conversation: Conversation, interview: Interview
) -> dict[str, Any]:
    """Return a row of verdicts.jsonl. In order 2 the rival was shown first."""
    points = list(conversation.reply.points) if conversation.reply else []
    own, other = [*(reversed(points) if order == 2 else points), {}, {}][:2]
    generations = [generation for key in conversation.asked if (generation := interview.stored(key))]
    prompt = sum(generation.prompt_tokens or 0 for generation in generations)
    completion = sum(generation.completion_tokens or 0 for generation in generations)
    priced = planned.settings.input_usd is not None
    return {
        "sample_id": case.sample_id,
        "repeat": case.repeat,
        "judge": planned.name,
        "judged_by": judging.judged_by(planned),
        "order": order,
        "state": _state(conversation),
        "candidate": dict(own),
        "rival": dict(other),
        "explanation": conversation.reply.explanation if conversation.reply else "",
        "problem": (
            conversation.failure.message if conversation.failure else "" if conversation.reply else conversation.problem
        ),
        "rival_answer": case.rival,
        "replies": conversation.texts,
        "served_model": generations[-1].served_model if generations else None,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cost_usd": interview.spending.price.of(prompt, completion) if priced else None,
    }
