"""Turns the judge's config into judges that can be asked, and reports its mistakes before any engine starts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from backends.api import Backend, Endpoint, EngineSpec, Failure, Sampling
from metrics.judge import Judge
from metrics.rubric import Kind, Rubric
from runner.base import paths
from runner.base.errors import Problem, Refused, attempt
from runner.config import Config, JudgeConfig, JudgeModelConfig, typed
from runner.datasets import open_dataset
from runner.planning import engine_spec, hub_check, model_checks
from runner.planning.identity import conditions, identity
from runner.scoring.judging.rivals import Rivals, read_rivals

WORDS = ("model", "quant", "backend", "env")
ENDPOINT = ("base_url", "dialect", "headers")


@dataclass(frozen=True)
class PlannedJudge:
    """A judge that can be asked. `identity` decides its replies, `conditions` their timing."""

    name: str
    settings: JudgeModelConfig
    config: Config
    spec: EngineSpec
    backend: Backend
    identity: Mapping[str, Any]
    conditions: Mapping[str, str]

    @property
    def endpoint(self) -> Endpoint | None:
        """Return the endpoint of a remote judge; None for an engine that the runner must start."""
        launch = self.backend.launch(self.spec, 1)
        return launch if isinstance(launch, Endpoint) else None

    @property
    def model_label(self) -> str:
        """Return the name of the judge's model for versions and tables."""
        return self.spec.checkpoint if self.endpoint else f"{self.config.model.name}-{self.spec.quant}"

    def setting(self, name: str) -> str:
        """Return the override by which the user changes a setting of the judge's engine or job."""
        where = f"judge.model.{self.name}"
        if name in {field.name for field in dataclasses.fields(JudgeModelConfig)}:
            return f"{where}.{name}"
        return f"+{where}.set.{name}" if name == "max_failed" else f"+{where}.set.backend.{name}"

    def with_own_settings(self, failure: Failure) -> Failure:
        """Return the failure with a remedy that names the judge's settings instead of a candidate's."""
        words = failure.message.replace("++model.request.", f"+judge.model.{self.name}.set.model.request.")
        words = re.sub(
            r"It is set by .*", lambda found: found[0].replace("sampling.", f"judge.model.{self.name}."), words
        )
        return dataclasses.replace(failure, message=words)

    @property
    def sampling(self) -> Sampling:
        """Return the judge's sampling parameters."""
        return Sampling(
            temperature=self.settings.temperature, max_tokens=self.settings.max_tokens, seed=self.settings.seed
        )


@dataclass(frozen=True)
class Judging:
    """Everything needed to judge the answers of a job."""

    config: JudgeConfig
    rubric: Rubric
    judges: tuple[PlannedJudge, ...]
    rivals: Rivals | None

    def judged_by(self, judge: PlannedJudge) -> str:
        """Return what makes two verdicts comparable: the model, the rubric, and whether the judge saw the pictures.

        The address is not a part of it: a judge that has moved to another address is still the same judge.
        """
        seen = f", pictures up to {self.config.image_max_side} px" if self.config.image else ""
        return f"{judge.model_label}, {self.rubric.name}@{self.rubric.digest}{seen}"

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of the metric `judge` that aggregates and compares these judges' scores."""
        options: dict[str, Any] = {
            "kind": self.rubric.kind,
            "criteria": list(self.rubric.criteria),
            "scale": [self.rubric.low, self.rubric.high],
            "judges": {judge.name: judge.model_label for judge in self.judges},
            "rubric": f"{self.rubric.name}@{self.rubric.digest}",
        }
        if self.rubric.kind == "pairwise":
            options |= {"orders": self.config.orders, "rival": self.rivals.digest if self.rivals else "references"}
        return options

    @property
    def metric(self) -> Judge:
        """Return the metric that turns verdicts into scores."""
        return Judge(**self.options)

    @property
    def needs_memory(self) -> bool:
        """Whether a judge needs an engine of its own, and so must wait until the candidates' engines are closed."""
        return any(judge.endpoint is None for judge in self.judges)


def plan_judging(config: Config) -> Judging | None:
    """Check the judge of a job; None if the job has none. Raise Refused with all mistakes at once."""
    judge_config = config.judge
    if judge_config.kind == "none":
        return None
    problems: list[Problem] = []
    if not judge_config.model:
        problems.append(Problem("no judge is named", "judge/model", "judge/model=[gpt_4o_mini]"))
    rubric = attempt(problems, lambda: _rubric(judge_config))
    judges = [attempt(problems, functools.partial(_judge, judge_config, name)) for name in judge_config.model]
    rivals = attempt(problems, lambda: _rivals(config)) if judge_config.reference_answers else None
    if problems:
        raise Refused(problems)
    return Judging(judge_config, rubric, tuple(judges), rivals)


def _rubric(judge_config: JudgeConfig) -> Rubric:
    prompt = judge_config.prompt
    if prompt.kind != judge_config.kind:
        what = f"judge={judge_config.name} is {judge_config.kind}, and this prompt is {prompt.kind}"
        raise Refused(Problem(what, f"judge/prompt={prompt.name}", "choose another of conf/judge/prompt"))
    if len(prompt.scale) != 2:
        raise Refused(
            Problem(f"{prompt.scale} is no scale", "judge.prompt.scale", "[lowest, highest], such as [0, 10]")
        )
    try:
        return Rubric(
            name=prompt.name,
            kind=cast("Kind", prompt.kind),
            criteria=prompt.criteria,
            low=float(prompt.scale[0]),
            high=float(prompt.scale[1]),
            system=prompt.system,
            template=prompt.template,
            repair=prompt.repair,
            max_answer_characters=judge_config.max_answer_characters,
        )
    except ValueError as error:
        raise Refused(Problem(str(error), f"judge/prompt={prompt.name}")) from error


def _judge(judge_config: JudgeConfig, name: str) -> PlannedJudge:
    """Compose the config that the judge would have as a candidate, and apply a candidate's checks."""
    settings, where = judge_config.model[name], f"judge.model.{name}"
    problems = [
        Problem(what, where, remedy)
        for what, remedy, wrong in (
            (
                "its price is not known, so no budget can be kept",
                f"give {where}.input_usd and .output_usd, USD per million tokens, or judge.budget_usd=null",
                judge_config.budget_usd is not None and (settings.input_usd is None or settings.output_usd is None),
            ),
            (
                "how many tokens a picture takes is not known, so no budget can be kept",
                f"give {where}.image_tokens, at most so many a picture, or judge.budget_usd=null",
                judge_config.budget_usd is not None
                and judge_config.image
                and settings.image_tokens is None
                and settings.input_usd,
            ),
        )
        if wrong
    ]
    problems += [
        Problem("a value is needed", f"{where}.{key}", f"give it: {where}.{key}=...")
        for key in ("model", "name", "base_url")
        if getattr(settings, key) == ""
    ]
    if problems:
        raise Refused(problems)
    try:
        config = typed(_composed(settings))
        model_checks.refuse_unsupported(config)
        spec, backend = engine_spec.served(config)
        hub_check.check(config, spec)  # an engine of ours judges on this machine, after the last job
    except Refused as refused:
        raise Refused(_named(problem, where) for problem in refused.problems) from None
    return PlannedJudge(
        name, settings, config, spec, backend, identity(config, spec, backend), conditions(config, spec)
    )


def _composed(settings: JudgeModelConfig) -> DictConfig:
    words = [f"{word}={value}" for word in WORDS if (value := getattr(settings, word)) is not None]
    cfg = _compose(words)
    with open_dict(cfg):
        if settings.name is not None:
            cfg.model.name = settings.name
        for key in ENDPOINT:
            if (value := getattr(settings, key)) is not None:
                cfg.backend[key] = value
        if cfg.backend.name == "openai":
            cfg.backend.api_key_variable = settings.api_key_variable
            cfg.backend.adapt = False  # a judge that is asked otherwise is another judge
        cfg.backend.request_timeout_s, cfg.backend.retries = settings.request_timeout_s, settings.retries
        cfg.concurrency = settings.concurrency
    for key, value in settings.set.items():
        OmegaConf.update(cfg, key, value, force_add=True)
    return cfg


def _compose(words: list[str]) -> DictConfig:
    """Compose a second job config inside the running Hydra application."""
    with contextlib.ExitStack() as stack:
        if not GlobalHydra.instance().is_initialized():  # in a separate worker process
            stack.enter_context(initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())))
        cfg: DictConfig = compose("config", words)
    return cfg


def _named(problem: Problem, where: str) -> Problem:
    """Return the problem with a judge's keys: `judge.model.NAME.base_url` instead of `backend.base_url`."""
    group, _, key = problem.where.partition(".")
    own = f"{where}.{key}" if group in ("model", "backend") and key else f"{where} ({problem.where})"
    what, remedy = (text.replace("backend.", f"{where}.") for text in (problem.what, problem.remedy))
    return Problem(what, own, remedy)


def _rivals(config: Config) -> Rivals:
    reference_answers = str(config.judge.reference_answers)
    if config.judge.kind == "absolute":
        what = "an absolute judge compares with the references of the dataset"
        raise Refused(Problem(what, "judge.reference_answers", "leave it out, or judge=pairwise"))
    columns = json.dumps(config.answer_columns, sort_keys=True)
    return read_rivals(
        paths.resolve(reference_answers), columns, lambda: open_dataset(config.dataset, paths.root(), pictures=False)
    )
