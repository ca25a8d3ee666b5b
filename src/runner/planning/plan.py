"""Turns a composed config into a job that can run, and finds what is wrong with it before an engine starts."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from backends import registry as backend_registry
from backends.api import Backend, EngineSpec, ImagePart, Message, Pixels, Sampling, VideoPart
from backends.ocr import OcrBackend
from metrics import registry as metric_registry
from metrics.api import Metric
from runner import store
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.base.progress import Progress
from runner.config import Config, typed
from runner.config.dataset import DatasetConfig
from runner.datasets import open_dataset
from runner.datasets.api import Dataset, Sample
from runner.planning import checkpoints, environments, machine_check, model_checks, ocr_program
from runner.planning.checkpoints import Checkpoint
from runner.planning.identity import conditions, identity
from runner.prompts import Prompt, Rendered, load_prompt, ocr
from runner.prompts.ocr import Ocr

log = logging.getLogger(__name__)
CYRILLIC = re.compile(r"[\u0400-\u04ff]")


@dataclass(frozen=True)
class Job:
    """A checked job: its config and everything that was found and opened for it.

    `identity` is what decides the text of an answer besides the request itself; `conditions` decide its timing.
    """

    config: Config
    spec: EngineSpec
    backend: Backend
    dataset: Dataset
    prompt: Prompt
    metrics: Mapping[str, Metric]
    identity: Mapping[str, Any]
    conditions: Mapping[str, str]
    ocr: Ocr | None = None  # what reads the text of the pages, where the prompt wants it
    apart: str = ""  # what tells it from the other jobs of its sweep, besides model and quant

    @property
    def name(self) -> str:
        """Return a short name for people."""
        adapter = f"+{Path(self.config.model.adapter).name}" if self.config.model.adapter else ""
        return f"{self.config.model.name}{adapter}-{self.config.quant.name}"

    @property
    def title(self) -> str:
        """Return its name with what tells it from the other jobs of its sweep: for lines that people read."""
        return f"{self.name} {self.apart}".rstrip()

    @property
    def digest(self) -> str:
        """Name this job by what it asks and whom: a rerun of it has the same, under whatever conditions."""
        config = self.config
        parts = [dict(self.identity), self.prompt.digest, self.dataset.digest(), config.sampling.repeats]
        parts += [self.ocr.name] if self.ocr else []
        if config.dataset.region is not None:  # the same questions about less of the page
            parts += [config.dataset.region, config.dataset.region_margin]
        return store.digest([*parts, dataclasses.asdict(self.sampling(0))])

    @property
    def image_token(self) -> int | None:
        """Return the id that stands for a piece of a picture in this model's prompts, where it is known."""
        return checkpoints.image_token(self.spec.checkpoint, self.spec.revision)

    @property
    def pixels(self) -> Pixels:
        """Return the bounds on an image's area that are sent with each request."""
        return Pixels(self.config.model.min_pixels, self.config.model.max_pixels)

    def rendered(self, sample: Sample) -> Rendered:
        """Return the prompt of a sample. Raises PromptError, and BadImage where OCR fails."""
        return self.prompt.render(sample, self.ocr.text(sample.images) if self.ocr else None)

    def messages(self, prompt: Rendered, images: tuple[ImagePart | VideoPart, ...]) -> tuple[Message, ...]:
        """Return what is said with these pictures."""
        return prompt.turns(images if self.config.model.images else ())

    def sampling(self, repeat: int) -> Sampling:
        """Return the sampling of one repeat: its seed is the configured one plus the repeat's number."""
        given = self.config.sampling
        return Sampling(
            temperature=given.temperature,
            top_p=given.top_p,
            top_k=given.top_k,
            repetition_penalty=given.repetition_penalty,
            max_tokens=given.max_tokens,
            stop=tuple(given.stop),
            seed=None if given.seed is None else given.seed + repeat,
        )


def plan(cfg: DictConfig, *, here: bool = False) -> Job:
    """Check one job and open what it needs. Raise Refused with everything that is wrong.

    `here`: it will run on this machine, so what that lacks is refused, too.
    """
    config = typed(cfg)
    model_checks.refuse_unsupported(config)
    problems: list[Problem] = []
    if here and config.stage != "score":
        attempt(problems, lambda: machine_check.check(config))
    spec_and_backend = attempt(problems, lambda: served(config))
    metrics = attempt(problems, lambda: _metrics(config))
    samples = attempt(problems, lambda: dataset(config.dataset))
    prompt = attempt(problems, lambda: load_prompt(config.prompt, paths.root()))
    if samples is not None and prompt is not None:
        problems.extend(prompt.check(samples))
    recogniser = attempt(problems, lambda: ocr.find(config.prompt))
    if samples is not None:
        attempt(problems, lambda: model_checks.pictures(config, samples))
    if samples is not None and samples.is_search and config.concurrency > 1:
        what = "a search asks one input at a time: each depends on what became of the one before"
        problems.append(Problem(what, "concurrency", "concurrency=1, or a length in dataset.options.visual_tokens"))
    attempt(problems, lambda: _published(config))
    if problems:
        raise Refused(problems)
    spec, backend = spec_and_backend
    return Job(
        config=config,
        spec=spec,
        backend=backend,
        dataset=samples,
        prompt=prompt,
        metrics=metrics,
        identity=identity(config, spec, backend),
        conditions=conditions(config, spec),
        ocr=recogniser,
    )


def attempt(problems: list[Problem], step: Callable[[], Any]) -> Any:
    """Return what a step gives; collect what it refuses, so that all that is wrong is told at once."""
    try:
        return step()
    except Refused as refused:
        problems.extend(refused.problems)
        return None


def served(config: Config) -> tuple[EngineSpec, Backend]:
    """Check the part of a config that says which model is served how. Raise Refused with everything that is wrong."""
    problems: list[Problem] = []
    backend = attempt(problems, lambda: _backend(config))
    brings = isinstance(backend, OcrBackend)  # a program, and no checkpoint
    checkpoint = Checkpoint("", "", "") if brings else attempt(problems, lambda: checkpoints.find(config))
    env = attempt(problems, lambda: _environment(config))
    attempt(problems, lambda: model_checks.settings(config))
    if problems:
        raise Refused(problems)
    _oom_policy(config, backend)
    spec = _spec(config, checkpoint, env, backend)
    _launchable(backend, spec)
    return (ocr_program.named(config, spec, backend) if isinstance(backend, OcrBackend) else spec), backend


def plan_sweep(configs: Sequence[DictConfig], *, here: bool = False) -> list[EngineSpec]:
    """Check every job of a sweep and return the engine each needs. One bad job refuses them all, in one message.

    `here`: they will run on this machine.
    """
    problems: list[Problem] = []
    specs: list[EngineSpec] = []
    with Progress("checking jobs", len(configs)) as progress:
        for cfg in configs:
            try:
                specs.append(plan(cfg, here=here).spec)
            except Refused as refused:
                problems.extend(refused.problems)
            progress.advance()
    if problems:
        raise Refused(problems)
    return specs


def warn(job: Job) -> None:
    """Tell of what is allowed and probably not meant."""
    for note in job.dataset.notes:
        log.warning("%s: %s", job.dataset.name, note)
    for note in reading_notes(job):
        log.warning("%s: %s", job.name, note)
    sampling = job.config.sampling
    if sampling.repeats > 1 and sampling.temperature == 0 and "temperature" not in job.config.backend.omit:
        log.warning(
            "sampling.repeats=%d with temperature 0: greedy answers repeat themselves; "
            "set sampling.temperature, or repeats=1",
            sampling.repeats,
        )
    if (job.config.backend.batch_size or 1) > job.config.concurrency:
        log.warning(
            "backend.batch_size=%d but concurrency=%d: batches can't fill; set concurrency=%d",
            job.config.backend.batch_size,
            job.config.concurrency,
            job.config.backend.batch_size,
        )


def whole_pages(job: Job) -> bool:
    """Whether each answer is the text of a whole page, whatever was asked."""
    return isinstance(job.backend, OcrBackend) and job.config.dataset.region is None


def reading_notes(job: Job) -> list[str]:
    """Return what a reader of this job's figures should know of a program that can't be asked anything."""
    if not isinstance(job.backend, OcrBackend):
        return []
    notes = [
        "an OCR program reads pictures and no prompts: neither prompt nor sampling had a say, each answer is the whole "
        "text of the sample's pictures; metrics=[found] measures that (docs/engines.md)"
    ]
    if lacks := job.backend.lacks_cyrillic(job.spec):
        with_references = [sample for sample in job.dataset if sample.references]
        cyrillic = [one for one in with_references if any(map(CYRILLIC.search, one.references))]
        if cyrillic:
            told = f"{len(cyrillic)} of {len(with_references)} samples have references with Cyrillic letters, which it "
            notes.append(f"{told}can't write: {lacks}")
    return notes


# ------------------------------------------------------------------------------------------------- the parts


def _backend(config: Config) -> Backend:
    try:
        return backend_registry.find(config.backend.name)
    except ValueError as error:
        raise Refused(Problem(str(error), "backend.name")) from error


def _environment(config: Config) -> str:
    return environments.name(config)


def _metrics(config: Config) -> dict[str, Metric]:
    try:
        created = metric_registry.create_all(config.metrics)
    except ValueError as error:
        raise Refused(Problem(str(error), "metrics")) from error
    return dict(zip(config.metrics, created, strict=True))


def dataset(config: DatasetConfig) -> Dataset:
    """Open a dataset once for all jobs of a sweep that use it."""
    return _open(json.dumps(OmegaConf.to_container(OmegaConf.structured(config)), sort_keys=True, default=str))


def forget_datasets() -> None:
    """Let go of the datasets that were opened."""
    _open.cache_clear()


@functools.lru_cache(maxsize=8)
def _open(config: str) -> Dataset:
    return open_dataset(DatasetConfig(**json.loads(config)), paths.root())


def _published(config: Config) -> None:
    """Make sure that the file is there before hours are spent on what it is to be compared with."""
    if config.published and not paths.resolve(config.published).is_file():
        raise Refused(
            Problem(f"{config.published} does not exist", "published", "a file as in data/published, or null")
        )


def _oom_policy(config: Config, server: Backend) -> None:
    """Refuse to lower pixels where an engine can't be told them with each request."""
    if config.backend.oom_policy != "reduce_pixels":
        return
    fixed = getattr(server, "pixels_at_start", False)
    if fixed or (config.backend.base_url and config.backend.dialect != "local"):
        what = f"backend={config.backend.name} can't be told a limit on pixels with each request"
        raise Refused(Problem(what, "backend.oom_policy", "fail, or lower model.max_pixels for the whole job"))


def _spec(config: Config, checkpoint: Checkpoint, env: str, server: Backend) -> EngineSpec:
    model, backend = config.model, config.backend
    fixed = getattr(server, "pixels_at_start", False)  # it can't be told with each request
    settings: dict[str, Any] = {
        "dtype": backend.dtype or config.quant.dtype,
        "attention": backend.attention,
        "device": backend.device,
        "batch_size": backend.batch_size,
        "threads": backend.threads or model.threads,
        "quantization": config.quant.quantization,
        "family": model.family,
        "adapter": str(paths.resolve(model.adapter)) if model.adapter else None,
        "adapter_rank": model_checks.adapter_rank(model.adapter, server) if model.adapter else None,
        "trust_remote_code": model.trust_remote_code or None,
        "config_override": model.config_override or None,
        "prefix_cache": backend.prefix_cache or None,
        "mm_cache": backend.mm_cache or None,
        "base_url": backend.base_url,
        "api_key_variable": backend.api_key_variable,
        "dialect": backend.dialect,
        "headers": backend.headers or None,
        "omit": list(backend.omit) or None,
        "rename": dict(backend.rename) or None,
        "min_pixels": model.min_pixels if fixed else None,
        "max_pixels": model.max_pixels if fixed else None,
    }
    # The nearer to the command line, the stronger.
    engine_args = (
        environments.chosen(config).engine_args | model.engine_args.get(backend.name, {}) | backend.engine_args
    )
    if model_checks.shows_videos(config) and backend.name == "vllm":
        # conf/backend/vllm.yaml reserves nothing for videos, since a job without them would pay for it.
        limits = dict(engine_args.get("limit_mm_per_prompt") or {})
        engine_args["limit_mm_per_prompt"] = limits | {"video": limits.get("video") or 1}
    settings |= {f"engine_args.{name}": value for name, value in engine_args.items()}
    return EngineSpec(
        backend=backend.name,
        checkpoint=checkpoint.location,
        revision=checkpoint.revision,
        digest=checkpoint.digest,
        quant=config.quant.name,
        env=env,
        weights=model.weights,
        args=tuple(sorted((name, _text(value)) for name, value in settings.items() if value is not None)),
    )


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _launchable(backend: Backend, spec: EngineSpec) -> None:
    """Let the backend refuse what it can't serve; the port doesn't matter here."""
    try:
        backend.launch(spec, 1)
    except ValueError as error:
        raise Refused(Problem(str(error), f"backend={backend.name}")) from error
