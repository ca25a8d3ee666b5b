"""Adds scores to a job's folder and its MLflow run: older ones stay, its figures are summed up anew."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from metrics import registry as metric_registry
from metrics.api import Case, Metric
from runner.base.errors import Problem, Refused
from runner.config import metric_files
from runner.jobs import tracking
from runner.jobs.folder import JobFolder
from runner.scoring import asked_metrics, confidence, score
from runner.scoring.judging import Judged, Judging, judge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What is added: the metrics of the command's config, perhaps a judge, as a config keeps it.

    `tracked` is where it is tracked, None: where the job says. `command` names the command, whose jobs share a budget.
    """

    composed: DictConfig | None = None  # None: no metric
    rescore: bool = False
    judging: Judging | None = None
    judge: Any = None  # None: the job's config has it already
    tracked: DictConfig | None = None
    command: str = ""


def add_scores(where: Path, wanted: Wanted, *, new: bool) -> dict[str, float]:
    """Score the answers in a job's folder and add what came of it; return all its figures.

    `new`: the folder was made just now, for answers of another program; what its config says of metrics is no score.
    """
    folder = JobFolder(where)
    cfg, record, described = folder.composed, folder.record, folder.environment
    cases = list(folder.cases())
    before, kept = ({}, {}) if new else (options(cfg.metrics), written(cfg.metrics))
    given = asked_metrics.for_job(wanted.composed, cfg) if wanted.composed is not None else OmegaConf.create({})
    chosen, noted = _with_columns(options(given), before), _with_columns(written(given), kept)
    if wanted.judging is not None:
        chosen["judge"] = noted["judge"] = wanted.judging.options
    asked = create(chosen)
    # 1. Ask the judge, score.
    judged = Judged()
    if wanted.judging is not None:
        judged = judge(wanted.judging, folder, cases, record["name"], wanted.command)
        if judged.earlier_kept:  # as if nobody had been asked
            wanted = dataclasses.replace(wanted, judging=None, judge=None)
            asked.pop("judge")
    # Options on the command line are meant: they replace scores that were made with others.
    meant = {
        name
        for name in asked
        if wanted.rescore
        or (name in before and asked_metrics.is_meant(wanted.composed, name, before[name], chosen[name]))
    } | ({"judge"} if wanted.judging is not None else set())
    merged, keep = _merged(folder, cases, before, asked, meant, new=new)
    try:
        metric_registry.check_needs(list(merged.values()))
    except ValueError as error:
        raise Refused(Problem(str(error), "metrics")) from error
    versions = described["metric_versions"]
    notes = [_kept_note(name, versions.get(name), merged[name].version) for name in sorted(keep)]
    timed = record.get("timed", True)
    aggregates = score.score(folder, cases, merged, timed=timed, keep=keep)
    of_confidence, told_of_it = confidence.figures(folder, cases, merged)
    # 2. Sum up.
    measures = {f"{measure.group}/{measure.name}" for metric in merged.values() for measure in metric.measures}
    record["metrics"] = {
        **{name: value for name, value in record["metrics"].items() if _stays(name, measures)},
        **score.values(aggregates),
        **score.repeats(folder, cases),
        **of_confidence,
        **judged.figures,
        "samples/unscored": score.unscored(aggregates),
    }
    left = [figure for figure in record["aggregates"] if _name(figure) not in measures]
    record["aggregates"] = [*(dataclasses.asdict(figure) for figure in aggregates), *left]
    older = [note for note in record["notes"] if wanted.judging is None or not note.startswith("judge")]
    empty = score.without_figure(aggregates, folder)
    older = [note for note in older if not note.startswith((score.NO_FIGURE, f"{confidence.GROUP}: "))]
    record["notes"] = list(dict.fromkeys([*older, *filter(None, notes), *judged.notes, *empty, *told_of_it]))
    record["scored_at"] = time.time()
    described["metric_versions"] = versions | {
        name: metric.version for name, metric in merged.items() if name not in keep or name not in versions
    }
    # 3. Write and track.
    tracked = wanted.tracked or cfg.tracking
    with open_dict(cfg):
        cfg.metrics = kept | {name: noted[name] for name in asked if name not in {*keep} & {*before}}
        if wanted.judge is not None:
            cfg.judge = wanted.judge
        if tracked.uri:  # with tracking=none the job keeps what it has, for a later upload
            cfg.tracking = tracked
    folder.write_config(cfg)
    folder.write_environment(described)
    folder.write_record(record)
    if tracked.uri:
        _upload(where, record["name"])
    return dict(record["metrics"])


def _merged(
    folder: JobFolder,
    cases: Sequence[Case],
    before: Mapping[str, Any],
    asked: Mapping[str, Metric],
    meant: Set[str],
    *,
    new: bool,
) -> tuple[dict[str, Metric], frozenset[str]]:
    """Return the metrics of a job's figures, its older ones first, and which of them keep their older scores.

    `meant` are those whose scores are replaced.
    """
    older: dict[str, Metric] = {}
    for name, given in before.items():
        # What can't be made here any more can't be summed up anew; its scores and figures stay as they are.
        with contextlib.suppress(Refused):
            older |= create({name: given}) if name not in asked else {}
    merged = {**older, **asked}
    if new:
        return merged, frozenset()
    complete = score.kept(folder, cases, merged)
    keep = complete - meant
    # What the job never scored (stage=generate) and isn't asked for now stays unscored.
    return {name: value for name, value in merged.items() if name in asked or name in keep}, frozenset(keep)


def options(metrics: DictConfig) -> dict[str, Any]:
    """Return the metrics of a config with their options."""
    settings = OmegaConf.to_container(metrics, resolve=True)
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items()}


def written(part: Any) -> Any:
    """Return a part of a config to be kept in another: resolved, but for what the environment holds: secrets."""
    return _as_written(OmegaConf.to_container(part, resolve=False), OmegaConf.to_container(part, resolve=True))


def _as_written(raw: Any, resolved: Any) -> Any:
    if isinstance(raw, dict) and isinstance(resolved, dict):
        return {str(name): _as_written(value, resolved[name]) for name, value in raw.items()}
    if isinstance(raw, list) and isinstance(resolved, list):
        return [_as_written(*pair) for pair in zip(raw, resolved, strict=True)]
    return raw if isinstance(raw, str) and "${oc.env:" in raw else resolved


def create(configured: Mapping[str, Any]) -> dict[str, Metric]:
    """Make metrics by name and options. Raise Refused for what can't be made."""
    try:
        created = metric_registry.create_all(metric_files.resolved(configured))
    except ValueError as error:
        raise Refused(Problem(str(error), "metrics")) from error
    return dict(zip(configured, created, strict=True))


def _with_columns(wanted: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics asked for; columns that were taken over before stay beside new ones."""
    if "stored" in wanted and "stored" in before:
        columns = {**(before["stored"] or {}).get("columns", {}), **(wanted["stored"] or {}).get("columns", {})}
        return wanted | {"stored": {"columns": columns}}
    return wanted


def _name(figure: Mapping[str, Any]) -> str:
    """Return what an aggregate is tracked as."""
    return f"{figure.get('measure_group', 'quality')}/{figure['measure']}"


def _stays(name: str, measures: set[str]) -> bool:
    """Say whether a figure is left as it is: all but what is summed up anew."""
    group, _, rest = name.partition("/")
    if f"{group}/{rest.partition('/')[0]}" in measures:
        return False
    return group not in ("repeats", confidence.GROUP) and name != "samples/unscored"


def _kept_note(name: str, version: str | None, current: str) -> str:
    if version is None or version == current:
        return ""
    return f"{name}: older scores were kept (made by {version}; now it is {current}); rescore=true replaces them"


def _upload(folder: Path, name: str) -> None:
    try:
        tracking.background.call("upload", folder=folder)
    except tracking.TrackingError as problem:
        log.warning("%s: not tracked: %s\n  upload it later: python -m runner.sync %s", name, problem, folder)
