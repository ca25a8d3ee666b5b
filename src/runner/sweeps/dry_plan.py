"""`plan=dry`: what jobs would ask, start and take, with nothing started.

What is told of time comes from earlier answers in the store and earlier job folders here. What isn't known is said to
be unknown, never taken for nothing.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends.api import EngineSpec
from runner.asking.questions import Generated, Questions
from runner.base import paths, terminal, terminal_table
from runner.base.progress import Progress
from runner.jobs.costs import PAGES
from runner.jobs.folder import JobFolder
from runner.planning.job import Job
from runner.store import Shelf
from runner.sweeps import capacity_forecast, cost_forecast
from runner.sweeps.capacity_forecast import Foretold
from runner.sweeps.cost_forecast import CostForecast, Stored

# How many stored answers, and job folders, tell how long another will take.
LATENCIES, FOLDERS = 200, 500
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Forecast:
    """What one job would do: how many questions there are, how many the store answers, and how long the rest takes.

    `unreadable` questions can't be asked (a broken picture). `seconds` is None where no earlier answer tells it; it is
    of answers under the same conditions unless `elsewhere`. `cost` is None if no price of the job is known. `search` is
    what the search for the highest rate asks beyond the questions; `search_usd` what that likely costs, and at most.
    """

    job: Job
    questions: int
    stored: int
    unreadable: int
    seconds: float | None
    elsewhere: bool
    cost: CostForecast | None = None
    search: Foretold | None = None
    search_usd: tuple[float | None, float | None] = (None, None)

    @property
    def to_ask(self) -> int:
        """Return how many questions an engine would be asked."""
        return self.questions - self.stored - self.unreadable


def show(jobs: Sequence[Job]) -> None:
    """Print what jobs, in the order in which they would run, would do. Nothing is written or started."""
    forecasts = [forecast(job) for job in jobs]
    rows: list[tuple[str, ...]] = []
    priced = any(one.cost is not None for one in forecasts)
    groups: dict[EngineSpec, list[Forecast]] = {}
    for one in forecasts:
        group = groups.setdefault(one.job.spec, [])
        group.append(one)
        number = str(len(groups)) if len(group) == 1 else ""
        told = f"{one.job.name} {one.job.spec.backend}, {one.job.spec.env}" if len(group) == 1 else ""
        broken = f" (+{one.unreadable} unreadable)" if one.unreadable else ""
        counts = (one.questions, one.stored, f"{one.to_ask}{broken}")
        named = (number, told, one.job.dataset.name, one.job.prompt.name)
        rows.append((*named, *map(str, counts), _time(one), *([_cost(one)] if priced else [])))
    header = ["group", "engine", "dataset", "prompt", "questions", "in the store", "to ask", "time"]
    header += ["USD"] if priced else []
    terminal_table.show_rows(header, rows, identity=4, elsewhere="a wider terminal")
    _show_searches(forecasts, priced=priced)
    for line in _summary(forecasts, groups):
        terminal.say(line)
    if jobs[0].config.race.active:
        from runner.sweeps.racing import blocks  # which looks up earlier answers as this module does

        terminal.say(str(blocks.planned(jobs)))
    if jobs[0].config.repeats_over_time > 1:
        from runner.sweeps import over_time

        terminal.say(over_time.forecast(jobs))


def forecast(job: Job) -> Forecast:
    """Look up which answers of a job exist, and how long those took. Pictures are read, as they name the answers."""
    result, stored = Generated(), Stored()
    questions = job.questions
    with (
        Shelf.of(paths.store_dir(), job.spec) as shelf,
        Progress(f"{job.name}: looking into the store", None) as progress,
    ):
        # Two rows may ask the same: the second will take the first one's answer.
        walk = Questions(job, shelf, result, progress, stored.keep)
        asks = {ask.key: ask for ask in walk.missing()}
        to_ask = len(asks)
        unreadable = len(result.failures)
        same = list(shelf.latencies(job.conditions, LATENCIES))
        took = same or list(shelf.latencies(None, LATENCIES))
        each = statistics.fmean(took) / job.config.concurrency if took else None
        if job.arrivals is not None:
            each = job.arrivals.length_s() / job.arrivals.count
        newest = list(shelf.newest(None, cost_forecast.ANSWERS))
        cost = cost_forecast.forecast(job, walk, stored, list(asks.values()), newest, each)
        if not to_ask:
            result.measured = shelf.measured(job.digest, job.conditions)
        search = capacity_forecast.foretell(job, shelf, result, stored.seen, took, is_whole=not to_ask)
        search_usd: tuple[float | None, float | None] = (None, None)
        if search is not None:
            of_requests = functools.partial(cost_forecast.of_requests, job, newest=newest, questions=(to_ask, cost))
            likely = of_requests(search.likely_requests, search.likely_s)
            search_usd = (likely, of_requests(search.requests, search.longest_s))
    seconds: float | None = None
    if job.arrivals is not None:
        seconds = job.arrivals.length_s(min(to_ask, job.arrivals.count))
    elif took or not to_ask:
        seconds = to_ask * statistics.fmean(took) / job.config.concurrency if to_ask else 0.0
    return Forecast(
        job,
        questions,
        questions - unreadable - to_ask,
        unreadable,
        seconds if to_ask else 0.0,
        bool(to_ask and not same and job.arrivals is None),  # when an open load ends is known
        cost,
        search,
        search_usd,
    )


def _summary(forecasts: Sequence[Forecast], groups: Mapping[EngineSpec, Sequence[Forecast]]) -> Iterator[str]:
    starting = {spec: group for spec, group in groups.items() if any(one.to_ask for one in group)}
    loads = {spec: earlier_load_s(group[0].job) for spec, group in starting.items()}
    asked = sum(one.to_ask for one in forecasts)
    stored = sum(one.stored for one in forecasts)
    yield f"jobs: {len(forecasts)}, groups: {len(groups)}, engine starts: {len(starting)}"
    yield f"questions: {sum(one.questions for one in forecasts)}, in the store: {stored}, to ask: {asked}"
    known = [one.seconds for one in forecasts if one.seconds is not None and one.to_ask]
    unknown = [one.job.name for one in forecasts if one.seconds is None]
    yield f"asking: {_sum(known, unknown)}"
    if starting:
        told = [load for load in loads.values() if load is not None]
        untold = [group[0].job.name for spec, group in starting.items() if loads[spec] is None]
        yield f"starting engines: {_sum(told, untold)}"
    yield from _money(forecasts)
    yield from _searches(forecasts)
    if any(one.elsewhere and one.seconds for one in forecasts):
        yield "* from answers under other conditions (GPU, concurrency, engine arguments)"
    yield "nothing was started (plan=dry)"


def _searches(forecasts: Sequence[Forecast]) -> Iterator[str]:
    """Yield what the searches for the highest rate take in all, beyond the questions."""
    searching = [one for one in forecasts if one.search is not None]
    if not searching:
        return
    searches = [one.search for one in searching if one.search is not None]
    known = [one.likely_s for one in searches if one.likely_s is not None]
    unknown = [one.job.name for one in searching if one.search is not None and one.search.likely_s is None]
    usd = [one.search_usd[0] for one in searching if one.search_usd[0] is not None]
    unpriced = [one.job.name for one in searching if one.search_usd[0] is None]
    cost = f"; cost: about {sum(usd):.4g} USD" if usd else ""
    cost += f", and {UNKNOWN} for {', '.join(dict.fromkeys(unpriced))}" if usd and unpriced else ""
    yield (
        f"looking for the highest rates, beyond that: {_sum(known, unknown)}, at most "
        f"{sum(one.requests for one in searches):,} requests{cost}"
    )
    yield capacity_forecast.LEGEND
    if any(one.is_estimate for one in searches):
        yield capacity_forecast.ESTIMATED


def _show_searches(forecasts: Sequence[Forecast], *, priced: bool) -> None:
    """Print a table of the searches for the highest rate; nothing where there are none."""
    rows = []
    for one in forecasts:
        if (search := one.search) is None:
            continue
        likely, most = one.search_usd
        usd = UNKNOWN if likely is None else f"{likely:.4g}" + ("" if most is None else f" (at most {most:.4g})")
        rows.append(
            (
                *(one.job.name, one.job.dataset.name, one.job.prompt.name),
                *capacity_forecast.cells(search),
                *(_range_s(search.likely_s, search.longest_s), *([usd] if priced else [])),
            )
        )
    header = ["highest rate of", "dataset", "prompt", "rates in the store", "rates to try", "requests", "time"]
    header += ["USD"] if priced else []
    if rows:
        terminal_table.show_rows(header, rows, identity=3, elsewhere="a wider terminal")


def _range_s(likely: float | None, longest: float | None) -> str:
    """Return a likely time and the longest."""
    if likely is None or longest is None:
        return UNKNOWN
    return f"{_spell(likely)} (up to {_spell(longest)})" if longest else _spell(likely)


def _money(forecasts: Sequence[Forecast]) -> Iterator[str]:
    """Yield what the jobs will cost, what 1,000 pages cost with each, and whether the budget is enough."""
    priced = [one for one in forecasts if one.cost is not None]
    if not priced:
        return
    asked = [one for one in forecasts if one.to_ask]
    known = [one.cost.usd for one in asked if one.cost is not None and one.cost.usd is not None]
    unknown = dict.fromkeys(one.job.name for one in asked if one.cost is None or one.cost.usd is None)
    most = [one.cost.most_usd if one.cost is not None else None for one in asked]
    limit = (
        ""
        if None in most
        else f", at most {sum(one for one in most if one is not None):.4g} without retries and warm-ups"
    )
    without = f", and {UNKNOWN} for {', '.join(unknown)}" if unknown else ""
    if any(one.cost is not None and one.cost.usd is None for one in asked):
        without += " (model.price.image_tokens tells it, or some answers in the store)"
    yield f"cost: about {sum(known):.4g} USD{limit}{without}" if known or not unknown else f"cost: {without[6:]}"
    per_pages = ((one.job.name, one.cost.per_pages) for one in priced if one.cost is not None)
    told = (f"{name} {UNKNOWN if usd is None else f'about {usd:.4g} USD'}" for name, usd in per_pages)
    yield f"{PAGES:,} pages: {', '.join(dict.fromkeys(told))}"
    budget = priced[0].job.config.budget_usd
    if budget is not None and sum(known) > budget:
        yield f"budget_usd={budget:g} will be spent after about {budget / sum(known):.0%} of what is to ask"


def earlier_load_s(job: Job, roots: Sequence[Path] = (Path("multirun"), Path("outputs"))) -> float | None:
    """Return how long the engine of a job took to load last time, by the job folders here; None where none tells."""
    jobs = [JobFolder(path) for root in roots for path in JobFolder.paths_below(root)]
    for one in sorted(jobs, key=lambda one: one.changed_at, reverse=True)[:FOLDERS]:
        try:
            loaded, about = one.metric("engine/load_s"), one.environment
        except (OSError, ValueError, KeyError):
            continue  # being written, or not of ours
        same = about.get("checkpoint_digest") == job.spec.digest and about.get("env") == job.spec.env
        if loaded is not None and same:
            return float(loaded)
    return None


def _sum(known: Sequence[float], unknown: Sequence[str]) -> str:
    """Add up what is known, and name what is not: no time is ever taken for zero."""
    names = ", ".join(dict.fromkeys(unknown))
    if not known and unknown:
        return f"{UNKNOWN} for {names}"
    return f"about {_spell(sum(known))}" + (f", and {UNKNOWN} for {names}" if unknown else "")


def _time(one: Forecast) -> str:
    if one.seconds is None:
        return UNKNOWN
    return _spell(one.seconds) + ("*" if one.elsewhere and one.seconds else "")


def _cost(one: Forecast) -> str:
    return UNKNOWN if one.cost is None or one.cost.usd is None else f"{one.cost.usd:.4g}"


def _spell(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
