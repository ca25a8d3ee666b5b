"""What frames jobs, one or many: tracking is prepared before, engines are closed and results summed up after."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from runner.asking import engines
from runner.base import terminal
from runner.base.errors import JobFailed, Problem, Refused, RunnerError, SweepFailed, attempt
from runner.base.tracking_address import ui_command
from runner.config import Config
from runner.jobs.folder import JobFolder
from runner.planning import opened
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.report import background, table
from runner.scoring import judging
from runner.studies import published, summaries
from runner.sweeps import over_time
from runner.sweeps.racing import checks
from runner.sweeps.run import run

log = logging.getLogger(__name__)


def refuse_scoring(configs: Sequence[DictConfig]) -> None:
    """Refuse stage=score in a sweep: it takes all jobs of a sweep in one command."""
    if any(cfg.get("stage") == "score" for cfg in configs):
        raise Refused(Problem("stage=score runs without -m", "stage", "answers=SWEEP_FOLDER scores all its jobs"))


@contextlib.contextmanager
def prepared(cfg: DictConfig) -> Iterator[None]:
    """Begin to prepare tracking for jobs of this config; afterwards, and whatever happens, close the engines."""
    if uri := cfg.tracking.uri:
        from runner.jobs import tracking

        tracking.background.start(uri, cfg.tracking.experiment, low=bool(cfg.backend.base_url))
    try:
        yield
    finally:
        engines.close()
        opened.forget()


def single(cfg: DictConfig) -> float | None:
    """Run the only job of a command without `-m`."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    if cfg.plan != "run":
        _tell(cfg, folder)
        return None
    if cfg.stage == "score":
        return scored(cfg, folder)
    if cfg.race.active:
        _take_back(folder)
        raise Refused(checks.ALONE)
    ask = over_time.single if cfg.repeats_over_time > 1 else run
    jobs, link = [_planned(cfg, folder)], True
    try:
        with prepared(cfg):
            objective = ask(cfg, jobs.pop())  # handed over: its samples are let go before the report is made
            judge_later(folder)
            return objective
    except JobFailed as failed:
        # The table says why; the whole reason again after it would hide it.
        raise SweepFailed(f"the job failed: {str(failed).splitlines()[0]}") from failed
    except KeyboardInterrupt:
        link = _is_tracking_ready()  # a second one may come while it is waited for: at once
        raise
    finally:
        finish(folder, link=link)


def _tell(cfg: DictConfig, folder: Path) -> None:
    """Say what the only job would do, or print its command."""
    from runner.sweeps import dry_plan, group_commands

    try:
        if cfg.stage == "score":
            raise Refused(Problem("scoring asks and starts nothing", "plan", "leave out plan, or stage=score"))
        if cfg.race.active:
            raise Refused(checks.ALONE)
        job = plan(cfg, here=cfg.plan == "dry")
        over_time.refuse([job])
        check_judges([job.config])
        if cfg.plan == "dry":
            dry_plan.show([job])
        else:
            overrides = list(HydraConfig.get().overrides.task)
            group_commands.print_commands([job], [overrides], str(folder), list(HydraConfig.get().overrides.hydra))
    finally:
        _take_back(folder)


def check_judges(configs: Sequence[Config]) -> None:
    """Refuse, before anything is started, judges that can't be asked; say what the others will cost."""
    problems: list[Problem] = []
    planned = []
    for config in configs:
        judges = attempt(problems, functools.partial(judging.plan_judging, config))
        if judges is not None and config.stage == "all":
            samples = (sample.id for sample in opened.dataset(config.dataset))
            attempt(problems, functools.partial(judging.check, samples, judges.rivals))
            planned.append((config, judges))
    if problems:
        raise Refused(problems)
    judging.announce_costs(planned)


def judge_later(folder: Path) -> None:
    """Have the finished jobs judged by engines of ours, now that their candidates' engines can be closed."""
    from runner.scoring import stage

    engines.close()
    stage.judge_later(folder)


def scored(cfg: DictConfig, folder: Path) -> float | None:
    """Score answers that exist; no engine is started. Results are shown where they lie."""
    from runner.scoring import stage

    where = stage.Scoring(cfg, folder)
    with prepared(cfg):
        objective = where.run()
    finish(where.shown, link=where.tracked)
    return objective


def _planned(cfg: DictConfig, folder: Path) -> Job:
    """Refuse a bad job before the database is made, and take back the folder that Hydra made for it."""
    try:
        job = plan(cfg, here=True)
        over_time.refuse([job])
        check_judges([job.config])
    except BaseException:
        _take_back(folder)
        raise
    return job


def _take_back(folder: Path) -> None:
    """Remove the folder that Hydra made, where nothing was written into it."""
    for path in (folder, *folder.parents[:2]):
        with contextlib.suppress(OSError):
            path.rmdir()


def finish(folder: Path, jobs: int = 1, *, link: bool = True) -> list[JobFolder]:
    """Show the comparison table, write the report, and say where everything is. Return the results.

    `link=False`: MLflow isn't looked at, though the jobs may name it.
    """
    try:
        return _finished(folder, jobs, link=link)
    finally:
        if tracking := sys.modules.get("runner.jobs.tracking"):
            tracking.background.stop()
        background.stop()


def _is_tracking_ready() -> bool:
    tracking = sys.modules.get("runner.jobs.tracking")
    return tracking is not None and tracking.background.is_ready()


def _finished(folder: Path, jobs: int, *, link: bool) -> list[JobFolder]:
    results = JobFolder.below(folder)
    if len(results) < jobs:
        log.warning("%d of %d jobs were not run", jobs - len(results), jobs)
    if not results:
        return results
    table.show(results)
    if any(result.config.get("published") for result in results):
        published.show(results)
    config = results[0].composed
    tables = [file for name in config.get("summaries") or () for file in summaries.write(name, folder, results)]
    _report(results, folder, tables, track=link)
    if config.tracking.uri:
        from runner.jobs import tracking

        tracking.background.settle()
        if link:
            _tell_link(results[0])
    return results


def _tell_link(job: JobFolder) -> None:
    """Say where MLflow shows the sweep of a job, and how its UI is started."""
    from runner.jobs import tracking

    settings = job.composed.tracking
    try:
        uri, sweep = tracking.uri_of(job.composed, job.environment), job.environment["sweep"]
        page = tracking.background.call("link", uri=uri, experiment=settings.experiment, sweep=sweep)
    except tracking.TrackingError as error:
        log.warning("no link to MLflow: %s", error)
        return
    terminal.say(f"MLflow:  {page}")
    if command := ui_command(str(settings.uri)):
        terminal.say(f"         start it with: {command}")


def _report(results: list[JobFolder], folder: Path, tables: list[Path], *, track: bool) -> None:
    """Write the page, say its verdict, and bring it and the other tables to MLflow.

    Whatever goes wrong with it, the jobs are done.
    """
    path = folder / "report.html"
    again = f"make it again: python -m runner.report {_short(folder)}"
    try:
        made = background.write(results, path, "/".join(folder.parts[-2:]))
    except (ValueError, OSError) as error:  # OSError: the disk is full
        log.warning("no report: %s\n  %s", error, again)
        return
    except Exception:
        log.exception("no report; the results are complete, %s", again)
        return
    for line in made.lines:
        terminal.say(line)
    terminal.say(f"report:  {_short(path)}")
    if not track:
        return
    from runner.report import tracked

    try:
        tracked.log(results, made.note, path, tables, has_pictures=made.has_pictures)
    except RunnerError as error:
        log.warning("the report is not tracked: %s", error)


def check(results: list[JobFolder], jobs: int) -> None:
    """Raise SweepFailed where one of so many jobs did not finish."""
    failed = jobs - sum(result.status == "finished" for result in results)
    if failed:
        raise SweepFailed(f"{failed} of {jobs} jobs failed")


def _short(path: Path) -> Path:
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
