"""`stage=score answers=…`: scores answers that exist, without an engine or a GPU.

Answers of this runner get their scores where they lie, in the job's folder and its MLflow run; older scores stay,
unless `rescore=true`. Answers of another program get a job folder and a run per model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from metrics import registry as metric_registry
from metrics.api import Metric
from runner import foreign, paths, score, tracking
from runner.answer_files import AnswerSet, open_answers
from runner.config import typed
from runner.datasets import open_dataset
from runner.errors import Problem, Refused

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
            self.metrics = _metrics(self.config.metrics)
            self.sets = self._open()
        except Exception:
            _take_back(folder)
            raise
        # The folder whose jobs are shown in the end.
        self.shown = folder
        # tracking=none on the command line wins over what the jobs say.
        self.tracked = bool(self.config.tracking.uri) or not _given("tracking")

    def run(self) -> float | None:
        """Score every set of answers; return the objective of the only one."""
        done: list[tuple[Path, dict[str, float]]] = []
        for one in self.sets:
            where = one.folder or (self.folder if len(self.sets) == 1 else self.folder / _file_name(one.name))
            for note in one.notes:
                log.warning("%s: %s", one.name, note)
            if one.folder is None:
                foreign.make_folder(self.cfg, one, where, sweep="/".join(self.folder.parts[-2:]))
            done.append((where, self._score(one, where)))
        if all(one.folder for one in self.sets):
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
        return open_answers(
            path,
            columns,
            lambda: open_dataset(self.config.dataset, paths.root(), pictures=False),
            filtered=filtered,
        )

    def _score(self, one: AnswerSet, where: Path) -> dict[str, float]:
        """Add the scores of a job to its folder and its run."""
        cfg = OmegaConf.load(where / "config.yaml")
        assert isinstance(cfg, DictConfig)
        record, described = _read(where / "metrics.json"), _read(where / "environment.json")
        before = _options(cfg) if one.folder else {}
        wanted = _with_columns(_options(self.cfg), before)
        asked = _metrics(wanted)
        merged, keep = self._merged(where, before, asked, new=one.folder is None)
        versions = described["metric_versions"]
        notes = [_kept_note(name, versions.get(name), merged[name].version) for name in sorted(keep)]
        timed = record.get("timed", True)
        aggregates = score.score(where / "answers.jsonl", merged, where / "scores.jsonl", timed=timed, keep=keep)
        measures = {measure.name for metric in merged.values() for measure in metric.measures}
        record["metrics"] = {
            **{name: value for name, value in record["metrics"].items() if _stays(name, measures)},
            **score.values(aggregates),
            **score.repeats(where),
            "samples/unscored": score.unscored(aggregates),
        }
        left = [figure for figure in record["aggregates"] if figure["measure"] not in measures]
        record["aggregates"] = [*(dataclasses.asdict(figure) for figure in aggregates), *left]
        record["notes"] = list(dict.fromkeys([*record["notes"], *filter(None, notes)]))
        record["scored_at"] = time.time()
        described["metric_versions"] = versions | {
            name: metric.version for name, metric in merged.items() if name not in keep or name not in versions
        }
        tracked = self.cfg.tracking if _given("tracking") else cfg.tracking
        with open_dict(cfg):
            cfg.metrics = before | {name: wanted[name] for name in asked if name not in {*keep} & {*before}}
            if tracked.uri:  # with tracking=none the job keeps what it has, for a later upload
                cfg.tracking = tracked
        OmegaConf.save(cfg, where / "config.yaml")
        foreign.write(where / "environment.json", described)
        foreign.write(where / "metrics.json", record)
        if tracked.uri:
            _upload(where, record["name"])
        return dict(record["metrics"])

    def _merged(
        self, where: Path, before: Mapping[str, Any], asked: Mapping[str, Metric], *, new: bool
    ) -> tuple[dict[str, Metric], frozenset[str]]:
        """Return the metrics of a job's figures, its older ones first, and which of them keep their older scores."""
        older: dict[str, Metric] = {}
        for name, options in before.items():
            # What can't be made here any more can't be summed up anew; its scores and figures stay as they are.
            with contextlib.suppress(Refused):
                older |= _metrics({name: options}) if name not in asked else {}
        merged = {**older, **asked}
        if new:
            return merged, frozenset()
        complete = score.kept(where / "answers.jsonl", merged, where / "scores.jsonl")
        # Options on the command line are meant: they replace scores that were made with others.
        meant = {name for name in asked if self.config.rescore or (name in before and _given(f"metrics.{name}"))}
        keep = complete - meant
        # What the job never scored (stage=generate) and isn't asked for now stays unscored.
        return {name: one for name, one in merged.items() if name in asked or name in keep}, frozenset(keep)


def _options(cfg: DictConfig) -> dict[str, Any]:
    """Return the metrics of a config with their options."""
    options = OmegaConf.to_container(cfg.metrics, resolve=True)
    assert isinstance(options, dict)
    return {str(name): value for name, value in options.items()}


def _with_columns(wanted: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics asked for; columns that were taken over before stay beside new ones."""
    if "stored" in wanted and "stored" in before:
        columns = {**(before["stored"] or {}).get("columns", {}), **(wanted["stored"] or {}).get("columns", {})}
        return wanted | {"stored": {"columns": columns}}
    return wanted


def _stays(name: str, measures: set[str]) -> bool:
    """Say whether a figure is left as it is: all but what is summed up anew."""
    group, _, rest = name.partition("/")
    if group == "quality":
        return rest.split("/")[0] not in measures
    return group != "repeats" and name != "samples/unscored"


def _metrics(configured: Mapping[str, Any]) -> dict[str, Metric]:
    try:
        created = metric_registry.create_all(configured)
    except ValueError as error:
        raise Refused(Problem(str(error), "metrics")) from error
    return dict(zip(configured, created, strict=True))


def _kept_note(name: str, version: str | None, current: str) -> str:
    if version is None or version == current:
        return ""
    return f"{name}: older scores were kept (made by {version}; now it is {current}); rescore=true replaces them"


def _given(key: str) -> bool:
    """Say whether the command line names a key, or something below it."""
    named = (override.lstrip("+~").partition("=")[0] for override in HydraConfig.get().overrides.task)
    return any(name == key or name.startswith(f"{key}.") for name in named)


def _upload(folder: Path, name: str) -> None:
    try:
        tracking.upload(folder)
    except tracking.TrackingError as problem:
        log.warning("%s: not tracked: %s\n  upload it later: python -m runner.sync %s", name, problem, folder)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.\-]", "_", name).strip(".") or "unnamed"


def _take_back(folder: Path) -> None:
    """Remove the folder that Hydra made, where nothing was written into it."""
    for path in (folder, *folder.parents[:2]):
        with contextlib.suppress(OSError):
            path.rmdir()


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
