"""Turns a composed config into a job that can run, and finds what is wrong with it before an engine starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from omegaconf import DictConfig

from backends.api import EngineSpec
from metrics import registry as metric_registry
from metrics.api import Metric
from runner.base import paths
from runner.base.errors import Problem, Refused, attempt
from runner.base.progress import Progress
from runner.config import Config, metric_files, typed
from runner.config.load import CLOSED
from runner.config.request_form import request_form
from runner.datasets.api import Dataset
from runner.planning import (
    arrivals,
    capacity,
    constraint_check,
    hub_check,
    logprobs,
    machine_check,
    model_checks,
    opened,
    prices,
    reference_check,
)
from runner.planning.arrivals import Arrivals
from runner.planning.engine_spec import served
from runner.planning.identity import conditions, identity
from runner.planning.job import Job
from runner.prompts import ocr

log = logging.getLogger(__name__)


def plan(cfg: DictConfig | Config, *, here: bool = False) -> Job:
    """Check one job and open what it needs. Raise Refused with everything that is wrong.

    `here`: it will run on this machine, so what that lacks is refused, too.
    """
    config = cfg if isinstance(cfg, Config) else typed(cfg)
    model_checks.refuse_unsupported(config)
    problems: list[Problem] = []
    if here and config.stage != "score":
        attempt(problems, lambda: machine_check.check(config))
    spec_and_backend = attempt(problems, lambda: served(config))
    if here and config.stage != "score" and spec_and_backend is not None:
        attempt(problems, lambda: hub_check.check(config, spec_and_backend[0]))
    metrics = attempt(problems, lambda: _metrics(config))
    attempt(problems, lambda: logprobs.check(config))
    samples = attempt(problems, lambda: opened.dataset(config.dataset))
    due = None if samples is None else attempt(problems, lambda: _arrivals(config, samples))
    search = None if samples is None else attempt(problems, lambda: capacity.planned(config, samples))
    prompt = attempt(problems, lambda: opened.prompt(config.prompt))
    recogniser = attempt(problems, lambda: ocr.find(config.prompt))
    if samples is not None:
        problems.extend(prompt.check(samples) if prompt is not None else ())
        attempt(problems, lambda: constraint_check.check(config, prompt) if prompt is not None else None)
        attempt(problems, lambda: model_checks.pictures(config, samples))
        attempt(problems, lambda: _search(config, samples))
        attempt(problems, lambda: reference_check.check(config, metrics or {}, samples))
        shown = config.model.images and any(sample.images for sample in samples)
        attempt(problems, lambda: prices.check(config, pictures=shown))
    attempt(problems, lambda: _published(config))
    if problems:
        raise Refused(problems)
    spec, backend = spec_and_backend
    return Job(
        config=config,
        spec=spec,
        backend=backend,
        dataset=samples,
        prompt=prompt,
        metrics=metrics,
        identity=identity(config, spec, backend) | prompt.identity,
        conditions=conditions(config, spec),
        ocr=recogniser,
        arrivals=due,
        capacity=search,
    )


def plan_sweep(configs: Sequence[DictConfig], *, here: bool = False) -> list[tuple[Config, EngineSpec]]:
    """Check every job of a sweep; return its settings and the engine it needs. One bad job refuses them all.

    No `Job` is kept, since each holds its dataset. `here`: they will run on this machine.
    """
    problems: list[Problem] = []
    planned: list[tuple[Config, EngineSpec]] = []
    with Progress("checking jobs", len(configs)) as progress:
        for cfg in configs:
            try:
                job = plan(cfg, here=here)
                planned.append((job.config, job.spec))
            except Refused as refused:
                problems.extend(refused.problems)
            progress.advance()
    if here and not problems:
        attempt(problems, lambda: hub_check.room(planned))
    if problems:
        raise Refused(problems)
    return planned


def warn(job: Job) -> None:
    """Tell of what is allowed and probably not meant."""
    for note in job.dataset.notes:
        log.warning("%s: %s", job.dataset.name, note)
    for note in job.reading_notes():
        log.warning("%s: %s", job.name, note)
    sampling = job.config.sampling
    if job.arrivals is not None:  # it needs many requests, whatever they say, and fills batches by itself
        return
    if sampling.repeats > 1 and sampling.temperature == 0 and "temperature" not in request_form(job.config).omit:
        log.warning(
            "sampling.repeats=%d with temperature 0: greedy answers repeat themselves; "
            "set sampling.temperature, or repeats=1",
            sampling.repeats,
        )
    if (job.config.backend.batch_size or 1) > job.config.concurrency:
        log.warning(
            "backend.batch_size=%d but concurrency=%d: batches can't fill; set concurrency=%d",
            job.config.backend.batch_size,
            job.config.concurrency,
            job.config.backend.batch_size,
        )


def _metrics(config: Config) -> dict[str, Metric]:
    try:
        created = metric_registry.create_all(metric_files.resolved(config.metrics))
        metric_registry.check_needs(created)
    except ValueError as error:
        raise Refused(Problem(str(error), "metrics")) from error
    return dict(zip(config.metrics, created, strict=True))


def _arrivals(config: Config, samples: Dataset) -> Arrivals | None:
    """Return when the requests of an open load are due. Refuse it for samples that depend on the answers before."""
    if config.load.arrivals != CLOSED and (samples.is_search or samples.probes):
        what = "this dataset looks for a limit: what is asked next depends on the last answer"
        raise Refused(Problem(what, "load", "load=closed"))
    return arrivals.planned(config, len(samples) * config.sampling.repeats)


def _search(config: Config, samples: Dataset) -> None:
    """Refuse to ask several inputs of a search at once."""
    if samples.is_search and config.concurrency > 1:
        what = "a search asks one input at a time: each depends on what became of the one before"
        remedy = "concurrency=1, or a length in dataset.options.visual_tokens"
        raise Refused(Problem(what, "concurrency", remedy))


def _published(config: Config) -> None:
    """Make sure that the file is there before hours are spent on what it is to be compared with."""
    if config.published and not paths.resolve(config.published).is_file():
        raise Refused(
            Problem(f"{config.published} does not exist", "published", "a file as in data/published, or null")
        )
