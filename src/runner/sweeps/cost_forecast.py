"""What a job will cost, for `plan=dry`: exactly for the answers that the store has, by an estimate for the others."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.api import Generation
from runner.asking import visual_input
from runner.asking.budget import most_text_tokens
from runner.asking.questions import JobAsk, Questions
from runner.datasets.api import Sample
from runner.datasets.picture_names import describe_image
from runner.jobs import costs
from runner.jobs.figures import Seen
from runner.jobs.rows import answer_row
from runner.planning import checkpoints, prices
from runner.planning.job import Job
from runner.planning.prices import Price
from runner.scoring.judging.forecast import tokens

ANSWERS = 200  # of the store, whose tokens tell how many another answer will take


@dataclass(frozen=True, slots=True)
class CostForecast:
    """USD: likely for what is to be asked, at most for it without retries, and for 1,000 pages. None: not known."""

    usd: float | None = None
    most_usd: float | None = None
    per_pages: float | None = None


class Stored:
    """Takes the answers that the store has, and sums up what they used."""

    def __init__(self) -> None:
        self.seen = Seen(())

    @property
    def costs(self) -> costs.Costs:
        """Return what they used."""
        return self.seen.costs

    def keep(self, place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
        """Take in an answer, or a question that can't be asked."""
        del place
        self.seen.add(answer_row(sample, repeat, generation, prompt))


def forecast(
    job: Job,
    questions: Questions,
    stored: Stored,
    asks: Sequence[JobAsk],
    newest: Sequence[Mapping[str, Any]],
    seconds: float | None,
) -> CostForecast | None:
    """Return what a job will cost; None if no price of it is known.

    `newest` are the newest answers of the engine. `seconds` is how long an answer takes, divided by the concurrency.
    """
    price, hour = prices.of_tokens(job.config), prices.of_an_hour(job.config)
    if price is None and hour is None:
        return None
    likely, most, of_stored = 0.0, 0.0, 0.0
    usages = stored.costs.by_document.values()
    answered = sum(usage.answered for usage in usages)
    if price is not None:
        told = _likely(job, questions, asks, newest, price)
        worst = _most(job, asks, price)
        if told is None or stored.costs.uncounted:
            return CostForecast(most_usd=worst if hour is None else None)
        likely, most = likely + told, most + worst if worst is not None else float("nan")
        of_stored = sum(price.of(usage.prompt, usage.completion, usage.cached) for usage in usages)
    if hour is not None:
        if seconds is None:
            return CostForecast()
        likely += hour * seconds * len(asks) / 3600
        of_stored += hour * seconds * answered / 3600
        most = float("nan")  # nobody knows how long it may take at most
    pages = {hash((describe_image(image), ask.repeat)) for ask in asks for image in ask.asked.sample.images}
    pages |= {page for usage in usages if usage.answered for page in usage.pages}
    per_pages = costs.PAGES * (likely + of_stored) / len(pages) if pages else None
    return CostForecast(likely, None if most != most else most, per_pages)


def _likely(
    job: Job, questions: Questions, asks: Sequence[JobAsk], newest: Sequence[Mapping[str, Any]], price: Price
) -> float | None:
    """Return what the questions will probably cost in USD; None if the tokens of pictures can't be told."""
    if not asks:
        return 0.0
    if (each := _of_earlier(newest, price)) is not None:
        return each * len(asks)
    pixels = job.pixels
    rule = (
        None
        if job.config.backend.base_url
        or job.config.backend.name == checkpoints.PROVIDERS
        or not job.config.model.images
        else visual_input.resize_rule(job.spec.checkpoint, job.spec.revision, pixels.min_pixels, pixels.max_pixels)
    )
    total = 0.0
    for ask in asks:
        sample = ask.asked.sample
        pictures = questions.pictures(sample) if sample.images and job.config.model.images else ()
        if pictures and rule is None and price.image_tokens is None:
            return None
        seen = sum(rule.tokens(one.width, one.height) if rule else price.image_tokens or 0 for one in pictures)
        text = sum(
            tokens(part.text)
            for message in job.messages(ask.asked.rendered(), ())
            for part in message.parts
            if hasattr(part, "text")
        )
        # An answer is about as long as its reference; without one it may be as long as it is allowed to be.
        limit = job.config.sampling.max_tokens
        said = min(limit, 1 + max(map(tokens, sample.references))) if sample.references else limit
        total += price.of(text + seen, said)
    return total


def _of_earlier(newest: Sequence[Mapping[str, Any]], price: Price) -> float | None:
    """Return what an answer costs in USD on average, by earlier ones whose tokens were counted."""
    counted = [
        one for one in newest if one.get("prompt_tokens") is not None and one.get("completion_tokens") is not None
    ]
    each = [price.of(one["prompt_tokens"], one["completion_tokens"], one.get("cached_tokens") or 0) for one in counted]
    return statistics.fmean(each) if each else None


def of_requests(
    job: Job,
    requests: float | None,
    seconds: float | None,
    newest: Sequence[Mapping[str, Any]],
    questions: tuple[int, CostForecast | None],
) -> float | None:
    """Return what further requests will probably cost in USD, asked within so many seconds; None if that is not known.

    `questions` are how many are to be asked before them, and what these will cost.
    """
    price, hour = prices.of_tokens(job.config), prices.of_an_hour(job.config)
    if requests is None or (price is None and hour is None) or (hour is not None and seconds is None):
        return None
    usd = 0.0 if hour is None or seconds is None else hour * seconds / 3600
    if price is None:
        return usd
    count, cost = questions
    each = _of_earlier(newest, price)
    if each is None and hour is None and count and cost is not None and cost.usd is not None:
        each = cost.usd / count
    return None if each is None else usd + each * requests


def _most(job: Job, asks: Sequence[JobAsk], price: Price) -> float | None:
    """Return the most that the questions may cost in USD, as the budget reckons; None if that is not known."""
    pictures = sum(len(ask.asked.sample.images) for ask in asks) if job.config.model.images else 0
    if pictures and price.image_tokens is None and price.dearest_input.input_usd:
        return None
    texts = sum(most_text_tokens(job.messages(ask.asked.rendered(), ()), job.response_schema) for ask in asks)
    answers = job.config.sampling.max_tokens * len(asks)
    return price.dearest_input.of(texts + pictures * (price.image_tokens or 0), answers)
