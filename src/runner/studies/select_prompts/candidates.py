"""Groups finished jobs by model and settings, so that the jobs of a group differ only in the prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metrics.api import Measure, Metric
from metrics.paired import ScoredRun
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import decisive
from runner.config.schema import SamplingConfig
from runner.datasets.api import Sample
from runner.prompts import Prompt, PromptConfig, load_prompt
from runner.prompts.template import Template
from runner.studies.compare.jobs import Scored, find_jobs

Pair = tuple[str, str]  # (doc_class, field)


@dataclass(frozen=True)
class TriedPrompt:
    """A prompt that a model was asked with: its label, the job, the loaded prompt, and the scores of the answers."""

    label: str
    job: Scored
    prompt: Prompt
    run: ScoredRun
    pairs: Mapping[str, Pair]  # by sample id

    def template(self, pair: Pair) -> Template | None:
        """Return the template for a (doc_class, field)."""
        return self.prompt.find(Sample("", "", (), "", doc_class=pair[0], field=pair[1]))


@dataclass(frozen=True)
class ModelTrials:
    """A model with fixed settings, and the prompts it was tried with in the order of the sweep.

    The first prompt is the baseline. `key` (`key_of`) identifies the model, its settings and the questions, whatever
    the prompt and the split.
    """

    name: str
    key: str
    measure: Measure
    metric: Metric
    tried: tuple[TriedPrompt, ...]


def find_candidates(folders: Sequence[Path], measure: str) -> list[ModelTrials]:
    """Return the models of a sweep with their prompts. Raise Refused if the jobs don't allow a fair choice."""
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
    """Return a key of all settings that decide a job's answers, except the prompt and the split.

    A job of an earlier version lacks the sampling keys that are newer: it was asked with what is now their default.
    Whether log-probabilities were asked for changes no answer.
    """
    config = decisive.only(job.result.config, but=["prompt"])
    config["sampling"] = {**asdict(SamplingConfig()), **config["sampling"], "logprobs": None}
    config["dataset"] = {name: value for name, value in config["dataset"].items() if name != "split"}
    return json.dumps(config, sort_keys=True, ensure_ascii=False)


def prompt_config(job: Scored) -> PromptConfig:
    """Return the job's prompt config."""
    return PromptConfig(**job.result.config["prompt"])


def _place(job: Scored) -> tuple[str, int]:
    """Return a sort key: the folder of the sweep and the number that Hydra gave the job's folder."""
    number = re.match(r"\d+", job.folder.name)
    return str(job.folder.parent), int(number.group()) if number else 0


def _problems(group: Sequence[Scored], measure: str) -> list[Problem]:
    first, problems = group[0], []
    name = first.result.name
    if len(group) < 2:
        problems.append(Problem("only one prompt was tried", str(first.folder), "sweep over prompts: prompt=a,b"))
    for job in group:
        if measure not in job.measures:
            scored = (other for other, (_, _, described) in job.measures.items() if described.better != "neither")
            known = ", ".join(scored)
            problems.append(
                Problem(f"{name} was not scored by {measure}", str(job.folder), f"--measure one of: {known}")
            )
        if job.result.environment["dataset_digest"] != first.result.environment["dataset_digest"]:
            what = f"{name} was asked other questions than in {first.folder}"
            problems.append(Problem(what, str(job.folder), "one dataset, split and filter for all prompts"))
        if job.result.cut_short:
            what = f"{name} was {job.result.cut_short} by a race, so its prompts were not asked the same questions"
            problems.append(
                Problem(what, str(job.folder), "the same sweep with race=false: what was answered is stored")
            )
    if len({prompt_config(job).ocr for job in group}) > 1:
        what = f"some prompts of {name} include the text of the pages and some don't"
        problems.append(Problem(what, str(first.folder.parent), "the same prompt.ocr for all prompts"))
    systems = {(prompt_config(job).system_role if text else "", text) for job in group if (text := _system(job))}
    if len(systems) > 1 or (systems and any(not _system(job) for job in group)):
        what = f"the prompts of {name} differ in their system text, and a collection has one for all fields"
        problems.append(Problem(what, str(first.folder.parent), "choose among prompts with the same system text"))
    return problems


def _system(job: Scored) -> str:
    return system.text if (system := _prompt(job).system) else ""


def _prompt(job: Scored) -> Prompt:
    """Load the prompt of a job. Raise Refused if its file was changed after the job."""
    prompt = load_prompt(prompt_config(job), paths.root())
    if prompt.digest != job.result.environment["prompt_digest"]:
        what = f"{prompt.where} was changed after it was used: the scored text is not the one that would be written"
        raise Refused(Problem(what, str(job.folder), "restore it, or sweep again; a new version is a new file"))
    return prompt


def _candidate(name: str, key: str, group: Sequence[Scored], measure: str) -> ModelTrials:
    labels = [_label(job, group) for job in group]
    tried = []
    for label, job in zip(labels, group, strict=True):
        pairs = {case.sample_id: (case.doc_class, case.field) for case in job.cases}
        tried.append(TriedPrompt(label, job, _prompt(job), job.run(measure), pairs))
    _, metric, described = group[0].measures[measure]
    return ModelTrials(name, key, described, metric, tuple(tried))


def _label(job: Scored, group: Sequence[Scored]) -> str:
    """Return a unique label of a job's prompt: its name, else (if ambiguous) its file, else its folder."""
    configs = {other.folder: prompt_config(other) for other in group}
    ways = (
        {folder: config.name for folder, config in configs.items()},
        {folder: Path(config.path or config.name).stem for folder, config in configs.items()},
    )
    apart = (way for way in ways if len(set(way.values())) == len(group))
    return next(apart, {folder: folder.name for folder in configs})[job.folder]
