"""One job, from its composed config to a complete folder and an MLflow run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from backends.api import Generation
from metrics.api import Case, Metric
from runner.asking import engines, fetching, largest_input
from runner.asking.budget import Ledger, Spending
from runner.asking.generate import generate
from runner.asking.questions import Generated, Keep
from runner.base import paths
from runner.base.errors import JobFailed, RunnerError
from runner.base.helper import has_idle_cores
from runner.config import Config
from runner.datasets.api import Sample
from runner.datasets.picture_names import describe_image
from runner.jobs import capacity as capacity_figures
from runner.jobs import costs, figures, notes
from runner.jobs.answers import Answers
from runner.jobs.capacity import Found
from runner.jobs.folder import JobFolder
from runner.jobs.job_files import apart
from runner.planning import prices
from runner.planning.job import Job
from runner.planning.plan import plan, warn
from runner.report import background
from runner.scoring import confidence, judging, score
from runner.store import Shelf
from runner.sweeps import ahead, capacity
from runner.sweeps.recorder import Recorder

log = logging.getLogger(__name__)
WORTH_PREPARING = 100  # answers; fewer are there before another process has imported anything


def run(cfg: DictConfig, job: Job | None = None) -> float | None:
    """Run one job, planned here unless it is given, and return its objective.

    Raises RunnerError with what went wrong; the job's folder then says it too.
    """
    under_way = UnderWay(cfg, job)
    with under_way.told_if_it_fails():
        under_way.ask()
        under_way.finish()
    return under_way.objective


class UnderWay:
    """A job that has begun: its folder says that it runs. All questions are asked, or one part after the other."""

    def __init__(self, cfg: DictConfig, job: Job | None = None) -> None:
        """Begin it in the folder that Hydra names. Raise Refused or JobFailed where that can't be."""
        self.folder = JobFolder(Path(HydraConfig.get().runtime.output_dir))
        self.job = job = dataclasses.replace(job or plan(cfg, here=True), apart=apart(self.folder.path.name, cfg))
        overrides = " ".join(HydraConfig.get().overrides.task)
        log.info("%s: %s", job.title, overrides or "the defaults of conf/config.yaml")
        warn(job)
        if has_idle_cores():
            _prepare_report(job)
        self._judges = judging.judges_now(job.config)
        if self._judges is not None:
            with open_dict(cfg):  # so that its scores can be compared and summed up later
                cfg.metrics.judge = self._judges.options
        self.record = Recorder(self.folder, job, cfg)
        self.generated, self._spending = Generated(), _spending(job)
        self._number = HydraConfig.get().job.get("num")
        self.objective: float | None = None
        self._open: Answers | None = None
        self._capacity: Found | None = None
        with self.told_if_it_fails():
            self._open = Answers(self.folder, None if job.capacity else job.config.report.slo)

    @contextlib.contextmanager
    def told_if_it_fails(self) -> Iterator[None]:
        """Where what is done within fails, let the folder and the run say so. Raise RunnerError."""
        title = self.job.title
        try:
            yield
        except KeyboardInterrupt:
            log.warning("%s: interrupted; what was answered is being saved (once more stops at once)", title)
            self.interrupted()
            raise
        except OSError as error:
            # A full disk, a folder that can't be written: the system's own words say which.
            self._close("failed", f"{error}")
            raise JobFailed(f"{error}") from error
        except Exception as error:
            if not isinstance(error, RunnerError):
                log.exception("%s: unexpected error", title)
            self._close("failed", str(error) if isinstance(error, RunnerError) else traceback.format_exc())
            raise

    def ask(self, part: Job | None = None, keep: Keep | None = None) -> None:
        """Ask all questions, or those of `part`, which is this job with fewer samples.

        `keep` takes each answer in place of `self.keep`, to which it hands it on with its place in the whole job.
        """
        job, number = part or self.job, self._number
        if part is None:
            ahead.prepare(number)
        quiet, beside = functools.partial(_settled, job), functools.partial(ahead.beside, number, job)
        with Shelf.of(paths.store_dir(), job.spec) as shelf:
            generate(job, shelf, self.generated, keep or self.keep, quiet, beside, self._spending)
            _not_all_failed(job, self.generated)
            if job.capacity is not None and self._open is not None:
                self._capacity = capacity.find(job, shelf, self.generated, self._open.seen, self._spending, quiet)

    def keep(self, place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> None:
        """Keep an answer or a failure; `place` is the question's among all questions of the job."""
        assert self._open is not None
        self._open.add(place, sample, repeat, generation, prompt)

    def finish(self) -> None:
        """Score what was asked, have it judged, sum up, and complete the folder."""
        cases = self._take_answers()
        _answers_came(self.job)
        if self._judges is None or not self._judges.needs_memory:
            ahead.after(self._number, self.job)
        self.objective = _objective(self.job, self._summed_up(cases))
        self.record.close("finished")

    def interrupted(self) -> None:
        """Close a job that is not done."""
        self._close("killed", "interrupted before it was done; what was answered is in the store")

    def _close(self, status: str, error: str) -> None:
        """Close the job with what came until now: it belongs into the folder."""
        self._take_answers()
        self.record.close(status, error)

    def _take_answers(self) -> list[Case]:
        """Close the file of answers and take over what came, once."""
        answers, self._open = self._open, None
        if answers is None:
            return []
        self.record.generated(self.generated)
        _paid(self.record, self._spending)
        cases = answers.close()
        self._seen = answers.seen
        if (told := fetching.look()) is not None:
            self.record.notes.append(told)
        return cases

    def _summed_up(self, cases: Sequence[Case]) -> dict[str, float]:
        """Score the answers, have them judged, and return all figures."""
        job, folder, record, generated, judges = self.job, self.folder, self.record, self.generated, self._judges
        # stage=generate leaves the scores to a later stage=score.
        wanted = dict(job.metrics) if job.config.stage == "all" else {}
        if judges is not None:
            wanted |= _judge(job, judges, folder, cases, record)
            record.add_version("judge", judges.metric.version)
        total = len(generated.keys) + len(generated.failures)
        known = f" ({generated.reused} of {total} answers were in the store)" if generated.reused else ""
        log.info("%s: scoring%s", job.title, known)
        aggregates = score.score(folder, cases, wanted, timed=generated.timed)
        seen = self._seen
        record.aggregates = [dataclasses.asdict(one) for one in aggregates]
        if job.ocr is not None and (seconds := job.ocr.mean_s()) is not None:
            record.metrics["ocr/mean_s"] = seconds
        record.metrics |= score.values(aggregates) | score.repeats(folder, cases)
        of_confidence, notes_of_confidence = confidence.figures(folder, cases, wanted)
        record.metrics |= of_confidence
        record.notes += notes_of_confidence
        record.metrics |= figures.figures(seen, generated.measured, timed=generated.timed)
        if (limit := generated.rate_limit) is not None:
            record.metrics |= limit.figures()
            if (told := limit.told()) is not None:
                log.info("%s: %s", job.title, told)
                record.notes.append(told)
        _costs(job, record, seen.costs, generated.measured if generated.timed else None)
        if self._capacity is not None:
            _capacity(job, record, self._capacity, seen.costs)
        if job.dataset.is_search:
            found, told = largest_input.figures(list(folder.rows()))
            record.metrics |= found
            record.notes.append(told)
        record.metrics["samples/unscored"] = score.unscored(aggregates)
        record.metrics["samples/truncated"] = seen.truncated
        record.metrics["samples/refused"] = seen.refused
        if omitted := notes.not_sent(seen):
            record.environment["not_sent"] = omitted
            folder.write_environment(record.environment)
        for remark in notes.remarks(generated):
            log.warning("%s: %s", job.title, remark)
        record.notes += [*job.reading_notes(), *notes.notes(generated, seen)]
        return record.metrics


def _under_own_sweeper() -> bool:
    """Return whether no sweeper reads what jobs return: in a single run, and under the runner's own sweeper."""
    if not HydraConfig.initialized():
        return True  # jobs that are asked in turns end after Hydra's launcher, and no other sweeper gathers them
    hydra = HydraConfig.get()
    return hydra.mode != RunMode.MULTIRUN or str(hydra.sweeper.get("_target_", "")).endswith(".RunnerSweeper")


def _objective(job: Job, metrics: dict[str, float]) -> float | None:
    name = job.config.objective
    known = sorted(one for one in metrics if one.startswith("quality/") and one.count("/") == 1)
    # Without references there is nothing to have. The default concerns sweepers that search, and is told of only there.
    is_default = name == Config.objective
    if name and name not in metrics and known and not (is_default and _under_own_sweeper()):
        log.warning("%s: objective=%s was not measured; measured are: %s", job.title, name, ", ".join(known))
    return metrics.get(name) if name else None


def _judge(
    job: Job, judges: judging.Judging, folder: JobFolder, cases: Sequence[Case], record: Recorder
) -> dict[str, Metric]:
    """Have the answers judged and return the metric that makes scores of the verdicts."""
    if judges.needs_memory:
        engines.close()
    judged = judging.judge(judges, folder, cases, job.title, judging.command_id())
    record.metrics |= judged.figures
    record.notes += judged.notes
    return {"judge": judges.metric}


def _spending(job: Job) -> Spending | None:
    """Return what keeps the budget of the command and counts what this job pays; None where tokens have no price."""
    price = prices.of_tokens(job.config)
    if price is None:
        return None
    path = paths.store_dir() / "budgets" / f"{judging.command_id()}-candidates.json"
    return Spending(price, Ledger(path, job.config.budget_usd), "budget_usd", gives_up=False)


def _paid(record: Recorder, spending: Spending | None) -> None:
    """Record what was paid now, which may be less than what the answers cost: some were in the store."""
    if spending is None:
        return
    record.metrics[costs.PAID] = spending.paid
    if spending.doubtful:
        record.notes.append(f"cost: requests that broke off may have cost up to {spending.doubtful:.4f} USD more")
    if spending.ledger.limit is not None and spending.factor > 1:
        wrong = f"cost: a request took {spending.factor:.1f} times the input that was foreseen"
        record.notes.append(f"{wrong}: raise model.price.image_tokens")


def _costs(job: Job, record: Recorder, used: costs.Costs, measured: Mapping[str, Any] | None) -> None:
    found = costs.figures(used, prices.of_tokens(job.config), prices.of_an_hour(job.config), measured)
    record.metrics |= found
    told = prices.told(job.config)
    if told and "prices" not in record.environment:  # they came with the environment, which was built meanwhile
        record.environment["prices"] = told
        record.folder.write_environment(record.environment)
    if (note := costs.note(used, told, found)) is not None:
        record.notes.append(note)


def _capacity(job: Job, record: Recorder, found: Found, used: costs.Costs) -> None:
    """Record what a search for the highest rate found."""
    price, hour = prices.of_tokens(job.config), prices.of_an_hour(job.config)
    record.metrics |= capacity_figures.figures(found, used, price, hour)
    record.notes += capacity_figures.notes(found)
    record.folder.write_capacity(found.described())


def _prepare_report(job: Job) -> None:
    """Have the report's pictures scaled while an endpoint answers, where that takes long enough to be of use."""
    if job.config.backend.base_url and job.questions >= WORTH_PREPARING:
        shown = job.config.report.pictures
        names = (describe_image(image) for sample in job.dataset for image in sample.images)
        background.prepare(names, shown.limit, shown.pixels, shown.mib)


def _answers_came(job: Job) -> None:
    """Begin what would have needed the cores of an endpoint that is timed."""
    if job.config.tracking.uri:
        from runner.jobs import tracking

        tracking.background.answers_came()


def _settled(job: Job) -> None:
    """Wait until the database is there and what earlier jobs left is uploaded."""
    if job.config.tracking.uri:
        from runner.jobs import tracking

        tracking.background.settle()


def _not_all_failed(job: Job, generated: Generated) -> None:
    if generated.keys or not generated.failures:
        return
    if job.dataset.probes and any(largest_input.is_limit(one.error) for one in generated.failures.values()):
        return  # that it doesn't fit is what was to be found out
    total = len(generated.failures)
    error = next(iter(generated.failures.values())).error
    assert error is not None
    raise JobFailed(f"all {total} answers failed; the first: {error.kind}: {error.message}")
