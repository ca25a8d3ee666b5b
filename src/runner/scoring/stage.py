"""`stage=score answers=…`: scores answers that exist, without an engine or a GPU.

Answers of this runner get their scores where they lie, in the job's folder and its MLflow run; older scores stay,
unless `rescore=true`. Answers of another program get a job folder and a run per model.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import re
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runner import store
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config, typed
from runner.datasets import open_dataset
from runner.jobs import imported_answers, tracking
from runner.jobs.answer_files import AnswerSet, joined, open_answers
from runner.jobs.folder import JobFolder
from runner.planning import reference_check
from runner.scoring import add_scores
from runner.scoring.asked_metrics import for_job, given_on_command_line
from runner.scoring.judging import check, plan_judging

log = logging.getLogger(__name__)
RUN_ID = re.compile(r"[0-9a-f]{32}")
FILTERS = ("split", "doc_class", "field", "limit")


class Scoring:
    """One command with stage=score: answers are read and checked before anything is written."""

    def __init__(self, cfg: DictConfig, folder: Path) -> None:
        """Read the answers and make the metrics. Raise Refused with everything that is wrong."""
        self.cfg, self.folder = cfg, folder
        try:
            self.config = typed(cfg)
            self.judging = plan_judging(self.config)
            add_scores.create(self.config.metrics)  # before anything is read: a typing error is told at once
            self.sets = self._open()
            for job in filter(None, (answers.folder for answers in self.sets)):
                _check_job(cfg, JobFolder(job).composed)
            if self.judging is not None:
                for answers in self.sets:
                    check((row["sample_id"] for row in answers.rows), self.judging.rivals)
        except Exception:
            _take_back(folder)
            raise
        # The folder whose jobs are shown in the end.
        self.shown = folder
        # tracking=none on the command line wins over what the jobs say.
        self.tracked = bool(self.config.tracking.uri) or not given_on_command_line("tracking")

    def run(self) -> float | None:
        """Score every set of answers; return the objective of the only one."""
        wanted = add_scores.Wanted(
            self.cfg,
            self.config.rescore,
            self.judging,
            add_scores.written(self.cfg.judge) if self.judging is not None else None,
            self.cfg.tracking if given_on_command_line("tracking") else None,
            store.digest(str(self.folder.absolute()))[:16],
        )
        done: list[tuple[Path, dict[str, float]]] = []
        for note in self.sets[0].notes if self.sets else ():
            if all(note in other.notes for other in self.sets):
                log.info("%s", note)  # of the file, and not of one model in it
        taken: set[str] = set()
        for answers in self.sets:
            where = answers.folder or (
                self.folder if len(self.sets) == 1 else self.folder / _folder_name(answers.name, taken)
            )
            for note in answers.notes:
                if not all(note in other.notes for other in self.sets):
                    log.warning("%s: %s", answers.name, note)
            if answers.folder is None:
                imported_answers.make_folder(self.cfg, answers, where, sweep="/".join(self.folder.parts[-2:]))
            done.append((where, add_scores.add_scores(where, wanted, new=answers.folder is None)))
        if all(answers.folder for answers in self.sets):
            given = paths.resolve(str(self.config.answers))
            downloaded = self.folder in done[0][0].parents or done[0][0] == self.folder
            self.shown = self.folder if downloaded else given if given.is_dir() else done[0][0]
            _take_back(self.folder)
        objective = self.config.objective
        return done[0][1].get(objective) if objective and len(done) == 1 else None

    def _open(self) -> list[AnswerSet]:
        given = str(self.config.answers)
        path = paths.resolve(given)
        if not path.exists():
            if not RUN_ID.fullmatch(given):
                remedy = "answers.jsonl, a job's or sweep's folder, a .csv or .xlsx, or the id of an MLflow run"
                raise Refused(Problem(f"{given} does not exist", "answers", remedy))
            if not self.config.tracking.uri:
                raise Refused(Problem("a run id needs tracking", "answers", "tracking=mlflow"))
            path = self.folder / given
            tracking.download(self.config.tracking.uri, given, path)
        filtered = any(getattr(self.config.dataset, name) is not None for name in FILTERS)
        columns = self.config.answer_columns
        dataset = functools.cache(lambda: open_dataset(self.config.dataset, paths.root(), pictures=False))
        sets = open_answers(path, columns, dataset, filtered=filtered)
        if len(sets) == 1 and sets[0].folder is None and given_on_command_line("model.name"):
            sets = [replace(sets[0], name=self.config.model.name)]
        _refuse_references(sets)
        if not self._dataset_is_named():
            return sets
        # Those of this runner, and VLMHyperBench's, know their samples already.
        return [answers if answers.folder or answers.dataset_digest else joined(answers, dataset()) for answers in sets]

    def _dataset_is_named(self) -> bool:
        """Whether the command line says which dataset was asked; a path that is not there is a mere name."""
        given = {override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task}
        path = self.config.dataset.path
        return "dataset" in given or ("dataset.path" in given and paths.resolve(path).exists())


def _check_job(cfg: DictConfig, job: DictConfig) -> None:
    """Refuse metrics that can't be made with what their options refer to in a job, or count places it didn't show."""
    metrics = add_scores.create(add_scores.options(for_job(cfg, job)))
    if problems := reference_check.other_pictures(job.dataset, metrics):
        raise Refused(problems)


def judge_later(folder: Path) -> None:
    """Have the finished jobs of a folder judged, those whose judges are engines of ours.

    Each is judged as its own config says; the budget is one for all.
    """
    command = store.digest(str(folder.absolute()))[:16]
    for job in sorted(JobFolder.below(folder), key=lambda job: job.path):
        if job.status != "finished":
            continue
        loaded = OmegaConf.merge(OmegaConf.structured(Config), job.composed)
        assert isinstance(loaded, DictConfig)
        config = typed(loaded)
        judging = plan_judging(config) if config.stage == "all" else None
        if judging is not None and judging.needs_memory:
            add_scores.add_scores(job.path, add_scores.Wanted(judging=judging, command=command), new=False)


def _refuse_references(sets: list[AnswerSet]) -> None:
    """Refuse names from a file that a config would take for a reference: `${oc.env:KEY}` would read the environment."""
    said = [
        (what, answers)
        for answers in sets
        if not answers.folder
        for what in (answers.name, answers.source)
        if "${" in what
    ]
    problems = [
        Problem(f"the name {what!r} holds '${{'", answers.source, "call it otherwise") for what, answers in said
    ]
    if problems:
        raise Refused(problems)


def _folder_name(name: str, taken: set[str]) -> str:
    """Return a name for the folder of a model, which no other one has: "a/b" and "a b" would both be a_b."""
    plain = re.sub(r"[^\w.\-]", "_", name).strip(".") or "unnamed"
    names = (plain if number == 1 else f"{plain}_{number}" for number in itertools.count(1))
    free = next(candidate for candidate in names if candidate.casefold() not in taken)
    taken.add(free.casefold())
    return free


def _take_back(folder: Path) -> None:
    """Remove the folder that Hydra made, where nothing was written into it."""
    for path in (folder, *folder.parents[:2]):
        with contextlib.suppress(OSError):
            path.rmdir()
