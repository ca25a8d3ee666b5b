"""Forecasts the cost of judging: roughly before the jobs start, and by request before a judge is asked."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.api import Case
from runner.config import Config
from runner.datasets.api import Dataset
from runner.planning import opened
from runner.planning.prices import Price
from runner.scoring.judging.conversation import Conversation, Interview
from runner.scoring.judging.planned import Judging

log = logging.getLogger(__name__)
EXPECTED_REPLY_TOKENS = 200  # used while the store has no reply of the judge
_SAMPLES_USED = 200  # the first samples of a dataset represent all of them


@dataclass(frozen=True, slots=True)
class CostForecast:
    """The number of verdicts, their likely cost, and their maximum cost without repairs and retries (USD)."""

    verdicts: int = 0
    likely_usd: float = 0.0
    most_usd: float = 0.0

    def __add__(self, other: CostForecast) -> CostForecast:
        """Return the sum of two forecasts."""
        return CostForecast(
            self.verdicts + other.verdicts, self.likely_usd + other.likely_usd, self.most_usd + other.most_usd
        )


def tokens(text: str) -> float:
    """Estimate the tokens of a text: a token is about four ASCII characters, or 2.5 others (Russian)."""
    beyond = sum(not character.isascii() for character in text)
    return (len(text) - beyond) / 4 + beyond / 2.5


def announce_costs(planned: Sequence[tuple[Config, Judging]]) -> None:
    """Log the expected cost of all jobs of a command. The answers are not known yet; references stand in for them."""
    total = CostForecast()
    for config, judging in planned:
        total += _of_job(judging, opened.dataset(config.dataset), config.sampling.repeats)
    if not planned:
        return
    limit = planned[0][0].judge.budget_usd
    if not total.likely_usd:
        log.info("judging: up to %d verdicts in %d jobs", total.verdicts, len(planned))
        return
    budget = "no budget is set" if limit is None else f"judge.budget_usd={limit:g}"
    message = f"judging: up to {total.verdicts} verdicts in {len(planned)} jobs, about {total.likely_usd:.2f} USD"
    log.info("%s if nothing is stored yet (%s)", message, budget)
    if limit is not None and total.likely_usd > limit:
        log.warning("the budget will end after about %.0f%% of the verdicts", 100 * limit / total.likely_usd)


def _of_job(judging: Judging, dataset: Dataset, repeats: int) -> CostForecast:
    """Estimate the cost of a job from prompts in which the references stand in for the answers."""
    total, seen = CostForecast(), 0
    for sample in itertools.islice(dataset, _SAMPLES_USED):
        seen += 1
        answer = sample.references[0] if sample.references else sample.question
        case = Case(
            sample_id=sample.id,
            document=sample.document,
            question=sample.question,
            prediction=answer,
            references=sample.references or (answer,),
            rival=judging.rivals.answers.get(sample.id, answer) if judging.rivals else answer,
        )
        orders = judging.metric.shown_in(case)
        for judge in judging.judges:
            price = Price.of_judge(judge.settings)
            pictures = (price.image_tokens or 0) * len(sample.images) if judging.config.image else 0
            asked = sum(tokens(text) for _, text in judging.rubric.ask(case, 1)) + pictures
            cost = price.of(asked, EXPECTED_REPLY_TOKENS)
            total += CostForecast(len(orders), cost * len(orders))
    scale = len(dataset) * repeats / seen if seen else 0
    return CostForecast(round(total.verdicts * scale), total.likely_usd * scale)


def announce_cost_of_judge(
    name: str, interview: Interview, conversations: Sequence[Conversation], missing: Sequence[Conversation]
) -> None:
    """Log how many requests a judge will get now, and their expected cost."""
    judge, spending = interview.judge, interview.spending
    known = len(conversations) - len(missing)
    stored = f", {known} of them are stored" if known else ""
    message = f"{name}: judge {judge.name}: {len(conversations)} verdicts{stored}; {len(missing)} to ask"
    if anew := sum(conversation.earlier is not None for conversation in missing):
        message += f" ({anew} of them again: the stored reply is no verdict)"
    price = spending.price
    if not missing or not (price.input_usd or price.output_usd):
        log.info("%s", message)
        return
    forecast = _of_requests(interview, conversations, missing)
    limit, committed = spending.ledger.limit, spending.ledger.committed
    budget = "no budget is set" if limit is None else f"budget {limit:g} USD, {committed:.4f} USD of it spent"
    cost = f"about {forecast.likely_usd:.4f} USD, at most {forecast.most_usd:.4f} USD without repairs"
    log.info("%s for %s (%s)", message, cost, budget)
    if limit is not None and forecast.likely_usd > limit - committed:
        log.warning(
            "%s: judge %s: the budget ends after about %d of %d requests; the rest stays unscored. "
            "Raise judge.budget_usd and score again: what was judged is stored and not paid twice",
            name,
            judge.name,
            int(len(missing) * max(0.0, limit - committed) / forecast.likely_usd),
            len(missing),
        )


def _of_requests(
    interview: Interview, conversations: Sequence[Conversation], missing: Sequence[Conversation]
) -> CostForecast:
    """Estimate the cost from the texts that will be sent, and from the mean length of the stored replies."""
    price, longest = interview.spending.price, interview.judge.sampling.max_tokens
    first = (interview.stored(conversation.asked[0]) for conversation in conversations if conversation.failure is None)
    replies = [reply.completion_tokens for reply in itertools.islice(first, 1000) if reply and reply.completion_tokens]
    reply = sum(replies) / len(replies) if replies else min(EXPECTED_REPLY_TOKENS, longest)
    total = CostForecast()
    for conversation in missing:
        pictures = (price.image_tokens or 0) * len(conversation.images)
        likely = price.of(sum(tokens(text) for _, text in conversation.turns) + pictures, reply)
        most = price.of(sum(len(text.encode()) for _, text in conversation.turns) + pictures, longest)
        total += CostForecast(1, likely, most)
    return total
