"""What judging will cost: roughly before the jobs start, and to the request before a judge is asked."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.api import Case
from runner.config import Config
from runner.datasets.api import Dataset
from runner.planning import opened
from runner.scoring.judging.budget import Price
from runner.scoring.judging.conversation import Conversation, Interview
from runner.scoring.judging.planned import Judging

log = logging.getLogger(__name__)
EXPECTED_REPLY_TOKENS = 200  # where the store knows no reply of a judge
_LOOKED_AT = 200  # samples that stand for a dataset


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many verdicts, and what they cost: about, and at most without repairs and retries, in USD."""

    verdicts: int = 0
    likely_usd: float = 0.0
    most_usd: float = 0.0

    def __add__(self, other: Forecast) -> Forecast:
        """Return both together."""
        return Forecast(
            self.verdicts + other.verdicts, self.likely_usd + other.likely_usd, self.most_usd + other.most_usd
        )


def tokens(text: str) -> float:
    """Estimate the tokens of a text: four letters of English, or two and a half of Russian, make one."""
    beyond = sum(not character.isascii() for character in text)
    return (len(text) - beyond) / 4 + beyond / 2.5


def before_jobs(planned: Sequence[tuple[Config, Judging]]) -> None:
    """Say what all jobs of a command will cost: their answers aren't known yet and are taken to be like references."""
    total = Forecast()
    for config, judging in planned:
        total += _of_job(judging, opened.dataset(config.dataset), config.sampling.repeats)
    if not planned:
        return
    limit = planned[0][0].judge.budget_usd
    if not total.likely_usd:
        log.info("judging: up to %d verdicts in %d jobs", total.verdicts, len(planned))
        return
    budget = "no budget is set" if limit is None else f"judge.budget_usd={limit:g}"
    told = f"judging: up to {total.verdicts} verdicts in {len(planned)} jobs, about {total.likely_usd:.2f} USD"
    log.info("%s if nothing is stored yet (%s)", told, budget)
    if limit is not None and total.likely_usd > limit:
        log.warning("the budget will end after about %.0f%% of the verdicts", 100 * limit / total.likely_usd)


def _of_job(judging: Judging, dataset: Dataset, repeats: int) -> Forecast:
    """Ask about the references as if they were answers, and reckon."""
    total, seen = Forecast(), 0
    for sample in itertools.islice(dataset, _LOOKED_AT):
        seen += 1
        said = sample.references[0] if sample.references else sample.question
        case = Case(
            sample_id=sample.id,
            document=sample.document,
            question=sample.question,
            prediction=said,
            references=sample.references or (said,),
            rival=judging.rivals.answers.get(sample.id, said) if judging.rivals else said,
        )
        orders = judging.metric.shown_in(case)
        for one in judging.judges:
            price = Price.of_judge(one.settings)
            pictures = price.image_tokens * len(sample.images) if judging.config.image else 0
            asked = sum(tokens(text) for _, text in judging.rubric.ask(case, 1)) + pictures
            cost = price.of(asked, EXPECTED_REPLY_TOKENS)
            total += Forecast(len(orders), cost * len(orders))
    scale = len(dataset) * repeats / seen if seen else 0
    return Forecast(round(total.verdicts * scale), total.likely_usd * scale)


def before_asking(
    name: str, interview: Interview, conversations: Sequence[Conversation], missing: Sequence[Conversation]
) -> None:
    """Say what is to be asked now and what it will cost."""
    judge, spending = interview.judge, interview.spending
    known = len(conversations) - len(missing)
    stored = f", {known} of them are stored" if known else ""
    told = f"{name}: judge {judge.name}: {len(conversations)} verdicts{stored}; {len(missing)} to ask"
    if anew := sum(one.earlier is not None for one in missing):
        told += f" ({anew} of them again: the stored reply is no verdict)"
    price = spending.price
    if not missing or not (price.input_usd or price.output_usd):
        log.info("%s", told)
        return
    forecast = _of_requests(interview, conversations, missing)
    limit, committed = spending.ledger.limit, spending.ledger.committed
    budget = "no budget is set" if limit is None else f"budget {limit:g} USD, {committed:.4f} USD of it spent"
    cost = f"about {forecast.likely_usd:.4f} USD, at most {forecast.most_usd:.4f} USD without repairs"
    log.info("%s for %s (%s)", told, cost, budget)
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
) -> Forecast:
    """Reckon with the texts that will be sent, and with replies as long as those that are stored."""
    price, longest = interview.spending.price, interview.judge.sampling.max_tokens
    first = (interview.stored(one.asked[0]) for one in conversations if one.failure is None)
    replies = [one.completion_tokens for one in itertools.islice(first, 1000) if one and one.completion_tokens]
    reply = sum(replies) / len(replies) if replies else min(EXPECTED_REPLY_TOKENS, longest)
    total = Forecast()
    for one in missing:
        pictures = price.image_tokens * len(one.images)
        likely = price.of(sum(tokens(text) for _, text in one.turns) + pictures, reply)
        most = price.of(sum(len(text.encode()) for _, text in one.turns) + pictures, longest)
        total += Forecast(1, likely, most)
    return total
