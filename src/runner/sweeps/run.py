"""One job, from its composed config to a complete folder and an MLflow run."""

from __future__ import annotations

import dataclasses
import functools
import logging
import time
import traceback
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from metrics.api import Case, Metric
from runner import store
from runner.asking import engines, fetching, largest_input
from runner.asking.budget import Ledger, Spending
from runner.asking.generate import generate
from runner.asking.questions import Generated
from runner.base import machine, paths
from runner.base.errors import JobFailed, RunnerError
from runner.base.helper import has_idle_cores
from runner.config import decisive
from runner.jobs import capacity as capacity_figures
from runner.jobs import costs, figures, notes
from runner.jobs.answers import Answers
from runner.jobs.capacity import Found
from runner.jobs.folder import RUNNING, JobFolder, this_process
from runner.jobs.job_files import apart
from runner.jobs.rows import Record, describe_image
from runner.planning import environments, prices
from runner.planning.job import Job
from runner.planning.plan import plan, warn
from runner.report import background
from runner.scoring import judging, score
from runner.store import Shelf
from runner.sweeps import ahead, capacity

log = logging.getLogger(__name__)
WORTH_PREPARING = 100  # answers; fewer are there before another process has imported anything


def run(cfg: DictConfig, job: Job | None = None) -> float | None:
    """Run one job, planned here unless it is given, and return its objective.

    Raises RunnerError with what went wrong; the job's folder then says it too.
    """
    folder = JobFolder(Path(HydraConfig.get().runtime.output_dir))
    job = dataclasses.replace(job or plan(cfg, here=True), apart=apart(folder.path.name, cfg))
    log.info("%s: %s", job.title, " ".join(HydraConfig.get().overrides.task) or "the defaults of conf/config.yaml")
    warn(job)
    if has_idle_cores():
        _prepare_report(job)
    judges = judging.judges_now(job.config)
    if judges is not None:
        with open_dict(cfg):  # so that its scores can be compared and summed up later
            cfg.metrics.judge = judges.options
    record = Recorder(folder, job, cfg)
    try:
        metrics = _stages(job, folder, record, judges)
    except KeyboardInterrupt:
        log.warning("%s: interrupted; what was answered is being saved (once more stops at once)", job.title)
        record.close("killed", "interrupted before it was done; what was answered is in the store")
        raise
    except OSError as error:
        # A full disk, a folder that can't be written: the system's own words say which.
        record.close("failed", f"{error}")
        raise JobFailed(f"{error}") from error
    except Exception as error:
        if not isinstance(error, RunnerError):
            log.exception("%s: unexpected error", job.title)
        record.close("failed", str(error) if isinstance(error, RunnerError) else traceback.format_exc())
        raise
    record.close("finished")
    return _objective(job, metrics)


def _objective(job: Job, metrics: dict[str, float]) -> float | None:
    name = job.config.objective
    known = sorted(one for one in metrics if one.startswith("quality/") and one.count("/") == 1)
    if name and name not in metrics and known:  # without references there is nothing to have
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


def _stages(job: Job, folder: JobFolder, record: Recorder, judges: judging.Judging | None) -> dict[str, float]:
    """Generate, have the answers judged, score, measure."""
    generated, answers = Generated(), Answers(folder, None if job.capacity else job.config.report.slo)
    spending, number = _spending(job), HydraConfig.get().job.get("num")
    carried: Found | None = None
    ahead.prepare(number)
    with Shelf.of(paths.store_dir(), job.spec) as shelf:
        try:
            quiet, beside = functools.partial(_settled, job), functools.partial(ahead.beside, number, job)
            generate(job, shelf, generated, answers.add, quiet, beside, spending)
            if job.capacity is not None:
                _not_all_failed(job, generated)
                carried = capacity.find(job, shelf, generated, answers.seen, spending, quiet)
        finally:
            # Whatever ended the generation: what came until then belongs into the folder.
            record.generated(generated)
            _paid(record, spending)
            cases = answers.close()
            if (told := fetching.look()) is not None:
                record.notes.append(told)
    _answers_came(job)
    if judges is None or not judges.needs_memory:
        ahead.after(number, job)
    _not_all_failed(job, generated)
    # stage=generate leaves the scores to a later stage=score.
    wanted = dict(job.metrics) if job.config.stage == "all" else {}
    if judges is not None:
        wanted |= _judge(job, judges, folder, cases, record)
        record.add_version("judge", judges.metric.version)
    total = len(generated.keys) + len(generated.failures)
    known = f" ({generated.reused} of {total} answers were in the store)" if generated.reused else ""
    log.info("%s: scoring%s", job.title, known)
    aggregates = score.score(folder, cases, wanted, timed=generated.timed)
    seen = answers.seen
    record.aggregates = [dataclasses.asdict(one) for one in aggregates]
    if job.ocr is not None and (seconds := job.ocr.mean_s()) is not None:
        record.metrics["ocr/mean_s"] = seconds
    record.metrics |= score.values(aggregates) | score.repeats(folder, cases)
    record.metrics |= figures.figures(seen, generated.measured, timed=generated.timed)
    _costs(job, record, seen.costs, generated.measured if generated.timed else None)
    if carried is not None:
        _capacity(job, record, carried, seen.costs)
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
    if (note := costs.note(used, prices.told(job.config), found)) is not None:
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


class Recorder:
    """Writes what a job leaves besides its answers: its config, environment and record, its log, and its run."""

    def __init__(self, folder: JobFolder, job: Job, cfg: DictConfig) -> None:
        """Write what is known at the start: that the job runs, too, so that one which is killed is found."""
        self.folder, self.job = folder, job
        self.aggregates: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.timed = True
        self.started_at, self._began = time.time(), time.monotonic()
        try:
            folder.create(cfg)
        except FileExistsError:
            raise JobFailed(f"{folder.path} holds another run; give another hydra.run.dir or hydra.sweep.dir") from None
        hydra = HydraConfig.get()
        sweep = hydra.sweep.dir if hydra.mode and hydra.mode.name == "MULTIRUN" else hydra.run.dir
        remote = environments.chosen(job.config).remote
        self.environment: dict[str, Any] = (
            machine.describe()
            | {
                **({"gpus": [remote.gpu or "unknown"], "cpu": "unknown"} if remote else {}),  # ours would be a lie
                "job_uid": uuid.uuid4().hex,
                "sweep": "/".join(Path(str(sweep)).parts[-2:]),
                "overrides": list(hydra.overrides.task),
                "config_hash": store.digest([_decisive(cfg), job.digest])[:16],
                "conditions": dict(job.conditions),
                "prompt_digest": job.prompt.digest,
                "dataset_digest": job.dataset.digest(),
                "metric_versions": {name: metric.version for name, metric in job.metrics.items()},
                "env": job.spec.env,
                "cwd": str(Path.cwd()),
                **({"whole_pages": True} if job.gives_whole_pages else {}),
                "checkpoint": job.spec.checkpoint,
                **({"prices": told} if (told := prices.told(job.config)) else {}),
                "checkpoint_digest": job.spec.digest,
            }
        )
        folder.write_environment(self.environment)
        total = job.questions
        # What probes for a limit asks some of its samples.
        self.metrics: dict[str, float] = {} if job.dataset.probes else {"samples/total": total}
        self._write(RUNNING, None, ended=False)

    def generated(self, generated: Generated) -> None:
        """Take over the counts of the generation stage and the engine's log."""
        self.timed = generated.timed
        total = self.job.questions
        if self.job.dataset.probes:
            total = len(generated.keys) + len(generated.failures)  # a search asks some, a limit ends the rest
        self.metrics |= {
            "samples/total": total,
            "samples/reused": generated.reused,
            "samples/failed": len(generated.failures),
            "engine/starts": generated.started,
        }
        if generated.started and generated.load_s is not None:
            self.metrics["engine/load_s"] = generated.load_s
        facts = (generated.measured or {}).get("stats", {}).get("facts", {})
        if facts:
            self.environment["engine"] = facts
            self.folder.write_environment(self.environment)
        self.folder.keep_logs(generated.log_paths)

    def add_version(self, metric: str, version: str) -> None:
        """Keep the version of a metric that is none of the job's own."""
        self.environment["metric_versions"][metric] = version
        self.folder.write_environment(self.environment)

    def close(self, status: str, error: str | None = None) -> None:
        """Write how it ended, which makes the folder complete, and bring it to MLflow."""
        self._write(status, error, ended=True)
        if not self.job.config.tracking.uri:
            return
        from runner.jobs import tracking

        send = tracking.background.upload_of_a_killed_job if status == "killed" else tracking.background.upload
        send(self.job.title, self.folder.path)

    def _write(self, status: str, error: str | None, *, ended: bool) -> None:
        record: Record = {
            "name": self.job.name,
            "status": status,
            "error": error,
            "started_at": self.started_at,
            # Not the clock again: it may have been set meanwhile.
            "finished_at": self.started_at + time.monotonic() - self._began if ended else None,
            "timed": self.timed,  # false: latencies are those of other conditions
            "metrics": self.metrics,
            "notes": list(dict.fromkeys(self.notes)),
            "aggregates": self.aggregates,
        }
        self.folder.write_record(record if ended else {**record, "process": this_process()})


def _decisive(cfg: DictConfig) -> Any:
    """Return the part of a config that decides results: two jobs with the same are the same experiment."""
    return OmegaConf.to_container(OmegaConf.create(decisive.only({str(k): v for k, v in cfg.items()})), resolve=False)
