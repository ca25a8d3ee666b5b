"""Turns an evaluation run into the overrides of a job: which words of conf/ and which files it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.datasets.paths import show
from runner.datasets.text_files import read_text
from runner.sweeps.plan_csv.rows import EvaluationRun


@dataclass(frozen=True)
class Folders:
    """Where a plan's files are looked for, besides the folder of the plan itself."""

    plan: Path
    datasets: Path | None = None
    prompts: Path | None = None
    answers: Path | None = None


@dataclass(frozen=True)
class PlannedJob:
    """A row as a job of ours: override -> value. `scores` says that it only scores answers that exist."""

    overrides: dict[str, Any] = field(default_factory=dict)
    scores: bool = False


def translate(runs: Sequence[EvaluationRun], folders: Folders, model: str | None = None) -> list[PlannedJob]:
    """Return the job of each row, with `model` (a word of conf/model) in place of its own where it is given.

    Raise Refused with every row that names a model, a dataset or a file that there isn't.
    """
    problems: list[Problem] = []
    jobs = []
    for run in runs:
        try:
            jobs.append(_job(run, folders, model))
        except Refused as refused:
            problems.extend(refused.problems)
    if problems:
        raise Refused(problems)
    return jobs


def _job(run: EvaluationRun, folders: Folders, model: str | None) -> PlannedJob:
    problems: list[Problem] = []

    def attempt(step: Any, *arguments: Any) -> dict[str, Any]:
        try:
            words: dict[str, Any] = step(*arguments)
        except Refused as refused:
            problems.extend(refused.problems)
            return {}
        return words

    overrides = {
        **({"model": model} if model else attempt(_model, run)),
        "backend": run.backend,
        **attempt(_dataset, run, folders),
        **attempt(_prompt, run, folders),
        **attempt(_system, run, folders),
    }
    if run.doc_class:
        overrides["dataset.doc_class"] = run.doc_class
    if run.field:
        overrides["dataset.field"] = run.field
    if run.only_evaluate:
        overrides |= {"stage": "score", **attempt(_answers, run, folders)}
    elif not run.metrics:
        overrides["stage"] = "generate"
    if run.metrics:
        overrides["metrics"] = list(run.metrics)
    if problems:
        raise Refused(problems)
    return PlannedJob(overrides, scores=run.only_evaluate)


def _wrong(run: EvaluationRun, column: str, what: str, remedy: str) -> Refused:
    return Refused(Problem(f"column {column}: {what}", run.where, remedy))


def _model(run: EvaluationRun) -> dict[str, Any]:
    """Find the word of conf/model, and of conf/quant, whose checkpoint is called like the row's model."""
    known: dict[str, tuple[str, str]] = {}
    for path in sorted((paths.conf_dir() / "model").glob("*.yaml")):
        loaded: Any = OmegaConf.load(path)
        for quant, location in (loaded.get("checkpoints") or {}).items():
            name = str(location).partition("@")[0].rsplit("/", 1)[-1]
            if "/" in str(location) and not str(location).startswith("assets/"):
                known.setdefault(name, (path.stem, str(quant)))
    if run.model_name not in known:
        remedy = f"add it to conf/model, or name a word for all rows: --model; there are: {', '.join(sorted(known))}"
        raise _wrong(run, "model_name", f"no checkpoint in conf/model is called {run.model_name!r}", remedy)
    word, quant = known[run.model_name]
    return {"model": word, "quant": quant}


def _dataset(run: EvaluationRun, folders: Folders) -> dict[str, Any]:
    """Find the folder with annotation.csv: the plan's own where it is called like the dataset, or one below."""
    bases = [folders.datasets] if folders.datasets else [folders.plan, folders.plan.parent]
    tried = [base / part for base in bases for part in (run.dataset, f"{run.task}/{run.dataset}")]
    if not folders.datasets:
        tried.insert(0, folders.plan)
        tried += [base / "vlmhyperbench" / "data_dirs" / "Datasets" / run.task / run.dataset for base in bases]
    for folder in tried:
        if folder.name == run.dataset and (folder / "annotation.csv").is_file():
            return {"dataset": "annotations", "dataset.name": run.dataset, "dataset.path": show(folder)}
    where = ", ".join(dict.fromkeys(show(folder) for folder in tried))
    remedy = f"--datasets FOLDER, which holds the folder {run.dataset}; looked for {where}"
    raise _wrong(run, "dataset", f"no folder {run.dataset!r} with an annotation.csv", remedy)


def _prompt(run: EvaluationRun, folders: Folders) -> dict[str, Any]:
    if not run.prompt_collection:
        return {"prompt": "plain"}
    path = _file(run, "prompt_collection", run.prompt_collection, folders, ("prompts", "PromptCollections"))
    return {"prompt": "collection", "prompt.name": path.stem, "prompt.path": show(path)}


def _system(run: EvaluationRun, folders: Folders) -> dict[str, Any]:
    if not run.system_prompt:
        return {}
    path = _file(run, "system_prompt", run.system_prompt, folders, ("prompts", "SystemPrompts"))
    text = read_text(path, "a system prompt").strip()
    if "${" in text:
        raise _wrong(run, "system_prompt", f"{show(path)} holds ${{, which a config would interpolate", "write it out")
    # Plain text there, a template here: braces would mean something.
    return {"prompt.system": f"{{% raw %}}{text}{{% endraw %}}" if re.search(r"\{[{%#]", text) else text}


def _file(run: EvaluationRun, column: str, name: str, folders: Folders, kinds: Iterable[str]) -> Path:
    """Find a file that a row names, within the folders that a plan's files may lie in, and not outside them."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _wrong(run, column, f"{name!r} leads out of the plan's folders", "a name below the folder of prompts")
    plain = Path(name).name
    bases = [folders.prompts] if folders.prompts else [folders.plan, folders.plan.parent]
    parts = [(), *((kind,) for kind in kinds), *((run.dataset, kind) for kind in kinds)]
    parts += [("vlmhyperbench", "data_dirs", kind, run.task) for kind in kinds]
    tried = [Path(base, *part, file) for base in bases for part in parts for file in dict.fromkeys((name, plain))]
    for path in tried:
        if path.is_file():
            return path
    where = ", ".join(dict.fromkeys(show(path.parent) for path in tried))
    raise _wrong(run, column, f"there is no file {name!r}", f"--prompts FOLDER; looked in {where}")


def _answers(run: EvaluationRun, folders: Folders) -> dict[str, Any]:
    """Find the answers of a row that only evaluates: the newest file as VLMHyperBench names them."""
    pattern = re.compile(
        rf"{re.escape(run.dataset)}_.+_{re.escape(run.model_name)}_{re.escape(run.task)}_answers_.+\.csv"
    )
    bases = [folders.answers] if folders.answers else [folders.plan, folders.plan / "ModelsAnswers"]
    bases += [] if folders.answers else [folders.plan / "vlmhyperbench" / "data_dirs" / "ModelsAnswers"]
    paths = [path for base in bases if base.is_dir() for path in base.rglob("*_answers_*.csv")]
    if fitting := sorted((path for path in paths if pattern.fullmatch(path.name)), key=lambda path: path.name):
        return {"answers": show(fitting[-1])}
    what = f"no answers: {run.dataset}_FRAMEWORK_{run.model_name}_{run.task}_answers_DATE_TIME.csv"
    where = ", ".join(map(show, bases))
    raise _wrong(run, "only_evaluate_metrics", what, f"--answers FOLDER; looked in {where}")
