"""Finds in finished jobs what can be chosen from: for each model as it was run, the jobs that differ in the prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.api import Measure, Metric
from metrics.paired import ScoredRun
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import decisive
from runner.datasets.api import Sample
from runner.prompts import Prompt, PromptConfig, load_prompt
from runner.prompts.template import Template
from runner.studies.compare.jobs import Scored, find_jobs

Pair = tuple[str, str]  # (doc_class, field)


@dataclass(frozen=True)
class Tried:
    """One prompt as one model was asked with it: what it is called, its text, and how its answers scored."""

    label: str
    job: Scored
    prompt: Prompt
    run: ScoredRun
    pairs: Mapping[str, Pair]  # of each sample

    def template(self, pair: Pair) -> Template | None:
        """Return what was asked of a (doc_class, field)."""
        return self.prompt.find(Sample("", "", (), "", doc_class=pair[0], field=pair[1]))


@dataclass(frozen=True)
class Candidate:
    """A model as it was run, and the prompts it was tried with, in their order; the first is the baseline."""

    name: str
    key: str
    measure: Measure
    metric: Metric
    tried: tuple[Tried, ...]


def find_candidates(folders: Sequence[Path], measure: str) -> list[Candidate]:
    """Return the candidates of a sweep. Raise Refused where the jobs don't allow a choice by this measure."""
    jobs = [job for job in find_jobs(folders) if job.result.status == "finished"]
    if not jobs:
        where = ", ".join(map(str, folders))
        raise Refused(Problem("no finished job with scores is in or below it", where, "a sweep over prompts"))
    groups: dict[str, list[Scored]] = {}
    for job in sorted(jobs, key=_place):
        groups.setdefault(key_of(job), []).append(job)
    problems = [problem for group in groups.values() for problem in _problems(group, measure)]
    if problems:
        raise Refused(problems)
    names = [group[0].result.name for group in groups.values()]
    return [
        _candidate(f"{name}-{number}" if names.count(name) > 1 else name, key, group, measure)
        for number, (name, (key, group)) in enumerate(zip(names, groups.items(), strict=True), 1)
    ]


def key_of(job: Scored) -> str:
    """Name what a job asks whom, whatever the prompt and the split."""
    config = decisive.only(job.result.config, but=["prompt"])
    config["dataset"] = {name: value for name, value in config["dataset"].items() if name != "split"}
    return json.dumps(config, sort_keys=True, ensure_ascii=False)


def prompt_config(job: Scored) -> PromptConfig:
    """Return the prompt's keys as the job's config has them."""
    return PromptConfig(**job.result.config["prompt"])


def _place(job: Scored) -> tuple[str, int]:
    """Return the place of a job in its sweep: Hydra numbers the folders."""
    number = re.match(r"\d+", job.folder.name)
    return str(job.folder.parent), int(number.group()) if number else 0


def _problems(group: Sequence[Scored], measure: str) -> list[Problem]:
    first, found = group[0], []
    name = first.result.name
    if len(group) < 2:
        found.append(Problem("only one prompt was tried", str(first.folder), "sweep over prompts: prompt=a,b"))
    for job in group:
        if measure not in job.measures:
            known = ", ".join(one for one, (_, _, told) in job.measures.items() if told.better != "neither")
            found.append(Problem(f"{name} was not scored by {measure}", str(job.folder), f"--measure one of: {known}"))
        if job.result.environment["dataset_digest"] != first.result.environment["dataset_digest"]:
            what = f"{name} was asked other questions than in {first.folder}"
            found.append(Problem(what, str(job.folder), "one dataset, split and filter for all prompts"))
        if job.result.config["sampling"] != first.result.config["sampling"]:
            found.append(Problem(f"{name} has another sampling", str(job.folder), "one sampling for all prompts"))
    if len({prompt_config(job).ocr for job in group}) > 1:
        what = f"some prompts of {name} have the text of the pages and some have not"
        found.append(Problem(what, str(first.folder.parent), "prompt.ocr alike for all prompts"))
    systems = {(prompt_config(job).system_role if told else "", told) for job in group if (told := _system(job))}
    if len(systems) > 1 or (systems and any(not _system(job) for job in group)):
        what = f"the prompts of {name} differ in their system text, and a collection has one for all fields"
        found.append(Problem(what, str(first.folder.parent), "choose among prompts with the same system text"))
    return found


def _system(job: Scored) -> str:
    return system.text if (system := _prompt(job).system) else ""


def _prompt(job: Scored) -> Prompt:
    """Load the prompt of a job and make sure that it is still the one that was asked with."""
    prompt = load_prompt(prompt_config(job), paths.root())
    if prompt.digest != job.result.environment["prompt_digest"]:
        what = f"{prompt.where} was changed after it was used: what scored is not what would be written"
        raise Refused(Problem(what, str(job.folder), "restore it, or sweep again; a new version is a new file"))
    return prompt


def _candidate(name: str, key: str, group: Sequence[Scored], measure: str) -> Candidate:
    labels = [_label(job, group) for job in group]
    tried = []
    for label, job in zip(labels, group, strict=True):
        pairs = {case.sample_id: (case.doc_class, case.field) for case in job.cases}
        tried.append(Tried(label, job, _prompt(job), job.run(measure), pairs))
    _, metric, described = group[0].measures[measure]
    return Candidate(name, key, described, metric, tuple(tried))


def _label(job: Scored, group: Sequence[Scored]) -> str:
    """Name a prompt: by its name, by its file where that is not enough, by its job in the end."""
    configs = {one.folder: prompt_config(one) for one in group}
    ways = (
        {folder: config.name for folder, config in configs.items()},
        {folder: Path(config.path or config.name).stem for folder, config in configs.items()},
    )
    apart = (way for way in ways if len(set(way.values())) == len(group))
    return next(apart, {folder: folder.name for folder in configs})[job.folder]
