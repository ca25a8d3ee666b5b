"""The schema of a job: every key of conf/, its type and its default. Importing it loads neither torch nor pandas.

`conf/config.yaml` composes one file of each group; OmegaConf checks names and types, `check_values` the rest.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError, InterpolationKeyError, OmegaConfBaseException

from runner.base.errors import Problem, Refused
from runner.config import secret_values
from runner.config.dataset import DatasetConfig
from runner.config.prompt import PromptConfig
from runner.config.report_settings import ReportConfig, report_problems

# When this command began: it names the folder of its jobs, however many there are.
STARTED = datetime.now()
# What to do about a `${` that was not meant to stand for anything.
INTERPOLATED = "${...} stands for another value; for the characters themselves write \\${...}"
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class ModelConfig:
    """A model: where its checkpoints are and what is needed to run it. One file in conf/model/."""

    name: str = MISSING
    # quantisation -> folder or hub name, `name@revision` to pin one
    checkpoints: dict[str, str] = field(default_factory=dict)
    # a folder or hub name to use instead of `checkpoints`, whatever `quant` says of its dtype
    path: str | None = None
    revision: str | None = None  # a hub's commit, beside model.path
    licence: str = MISSING  # as the model's card names it
    backends: list[str] = field(default_factory=list)  # that can run it; empty: all
    images: bool = True  # false: it takes text alone, so pages are read by OCR (prompt.ocr)
    unsupported: str | None = None  # why no backend can: the model is refused with it
    engine_args: dict[str, dict[str, Any]] = field(default_factory=dict)  # backend -> flags it needs for this model
    family: str = "auto"  # how the HF engine prepares its inputs
    min_pixels: int | None = None  # area an image is resized to; null: what the checkpoint says
    max_pixels: int | None = None
    env: dict[str, str] = field(default_factory=dict)  # backend -> environment, where it needs its own
    weights: str = "real"  # dummy: the true architecture with random weights, for speed and memory
    architecture: str | None = None  # a folder with config.json, for weights=dummy without a download
    config_override: dict[str, Any] = field(default_factory=dict)  # laid over config.json; with dummy weights only
    threads: int | None = None  # CPU threads that suit it; backend.threads wins
    adapter: str | None = None  # folder of a LoRA adapter
    trust_remote_code: bool = False  # whether code that comes with the checkpoint is run
    why_remote_code: str | None = None  # said in the file where the above is true


@dataclass
class QuantConfig:
    """A quantisation: which of a model's checkpoints it needs, and how that is loaded. One file in conf/quant/."""

    name: str = MISSING
    checkpoint: list[str] = field(default_factory=list)  # names in model.checkpoints; the first that exists is used
    dtype: str = "auto"  # of activations and unquantised weights; auto: the checkpoint's own
    quantization: str = "none"  # done while loading: none, bnb_int8, bnb_nf4
    dummy: bool = False  # whether model.weights=dummy can stand in for it
    env: dict[str, str] = field(
        default_factory=dict
    )  # backend -> environment that can load it, where the model names none


@dataclass
class BackendConfig:
    """How a model is served. One file in conf/backend/."""

    name: str = MISSING
    env: str | None = None  # the environment this backend needs where the model names none; null: current
    batch_size: int | None = None  # null: the engine's own
    dtype: str | None = None  # overrides the quantisation's
    attention: str | None = None
    device: str = "auto"  # cuda, cpu; auto: a GPU where there is one
    threads: int | None = None  # CPU threads of the engine; null: the model's, else torch's choice
    engine_args: dict[str, Any] = field(default_factory=dict)  # handed to the engine's command line as they are
    start_timeout_s: float = 600.0
    request_timeout_s: float = 600.0
    retries: int = 2
    replicas: int = 1  # engines of the same kind that share one job's questions; concurrency is of all together
    max_restarts: int = 1  # of an engine that dies or hangs in the middle of a job
    # what to do with a sample that memory runs out at: fail it, or ask it again with its picture at half the area
    oom_policy: str = "fail"
    prefix_cache: bool = False  # true: what prompts have in common is computed once, which flatters later questions
    mm_cache: bool = False  # true: the same picture is prepared once
    base_url: str | None = None  # of an endpoint that runs already
    api_key_variable: str | None = None  # the environment variable that holds its key
    dialect: str | None = None  # openai: what OpenAI's own takes; local: vLLM and SGLang take more
    headers: dict[str, str] = field(default_factory=dict)  # `$NAME` in a value is an environment variable
    # settings that an endpoint refuses, left out of each request: temperature, top_p, max_tokens, seed, stop, ...
    omit: list[str] = field(default_factory=list)
    rename: dict[str, str] = field(default_factory=dict)  # our name of a setting -> what the endpoint calls it


@dataclass
class RemoteConfig:
    """A machine that is started for an engine and given back: commands as lists of words, run on this machine."""

    # words may hold {name}, a name made for each machine
    start: list[str] = MISSING  # ends when the machine is there; the last line it prints is the {address}
    address: list[str] | None = None  # prints the {address}, where `start` doesn't; repeated until it succeeds
    wait: list[str] | None = None  # repeated until it succeeds: then the engine can be started
    tunnel: list[str] | None = None  # brings {port} of the machine here, where `run` doesn't
    run: list[str] = MISSING  # runs {command}, one word for a shell, there
    stop: list[str] = MISSING  # gives the machine back; run whatever happens
    python: str = "python3"  # the interpreter there
    folders: dict[str, str] = field(default_factory=dict)  # a folder here -> the same folder there
    pass_variables: list[str] = field(default_factory=list)  # of the environment here that the engine gets, too
    gpu: str | None = None  # its GPUs, such as 1x H100 80GB: for the record, and what timings are compared by
    start_timeout_s: float = 1200.0  # for start, address and wait together
    stop_timeout_s: float = 600.0  # for one attempt of three
    max_hours: float = 4.0  # of all machines that one command starts, in sum; then they are given back
    price_per_hour: float | None = None  # USD
    max_cost: float | None = None  # USD; with price_per_hour


@dataclass
class ContainerConfig:
    """The container that an engine runs in."""

    # a name with its tag or digest: vllm/vllm-openai:v0.33.0, mine/hf@sha256:...; for Apptainer FILE.sif or docker://NAME
    image: str | None = None
    runtime: str = "docker"  # docker, apptainer
    gpus: str = "auto"  # auto: those visible here; all, none, or indexes as in '0,1'
    network: str = "host"  # or a network of Docker's, from which the engine's port is published on 127.0.0.1
    user: str | None = None  # UID:GID; null: your own; image: the one that the image names
    shm_size: str | None = None  # 8g: of /dev/shm, which engines on several GPUs need; null: the runtime's own
    mounts: list[str] = field(default_factory=list)  # FOLDER[:PLACE][:rw], read-only unless said
    python: str = "python3"  # the image's interpreter
    pull: str = "missing"  # missing: an image that is not here is pulled; never: it is refused
    host: str | None = None  # the daemon's socket, unix:///PATH; null: DOCKER_HOST, or the usual one


@dataclass
class EnvConfig:
    """Where an engine's process runs. One file in conf/env/."""

    name: str = MISSING
    # current: this interpreter; uv: built from a requirements file; container: an image; remote: another machine
    kind: str = "current"
    requirements: str | None = None  # the file in envs/ that it is built from
    python: str | None = None  # a version or an interpreter; null: the runner's
    overlays: list[str] = field(default_factory=list)  # folders laid over site-packages
    remove: list[str] = field(default_factory=list)  # packages uninstalled again
    commands: list[str] = field(default_factory=list)  # run last, in site-packages
    variables: dict[str, Any] = field(default_factory=dict)  # set for the engine; {site} is its site-packages
    engine_args: dict[str, Any] = field(default_factory=dict)  # what its engine needs here; backend.engine_args wins
    remote: RemoteConfig | None = None  # for kind: remote
    container: ContainerConfig | None = None  # for kind: container


@dataclass
class SamplingConfig:
    """How tokens are drawn, and how often each question is asked. One file in conf/sampling/."""

    name: str = MISSING
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 128
    stop: list[str] = field(default_factory=list)  # texts that end an answer
    repeats: int = 1
    seed: int | None = 0  # seed + repeat is sent


@dataclass
class TrackingConfig:
    """Where results are tracked. One file in conf/tracking/."""

    name: str = MISSING
    uri: str | None = None  # null: nothing is tracked
    experiment: str = "documents"  # MLflow's experiment
    traces: str = "none"  # single answers with their pictures: none, failed (and wrong), all
    images: bool = True  # false: no picture is uploaded: none in traces, and a report that holds some stays here


@dataclass
class JudgeModelConfig:
    """A model that judges: an endpoint, or one of our engines by the words of conf/. An entry of conf/judge/model/."""

    model: str = "openai"
    name: str | None = None  # of the model at an endpoint
    quant: str | None = None  # null: the default of conf/config.yaml; so below
    backend: str | None = None
    env: str | None = None
    base_url: str | None = None
    api_key_variable: str | None = "OPENAI_API_KEY"  # the environment variable that holds an endpoint's key
    dialect: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)  # any other key of a job's config, such as backend.threads
    response_schema: bool = False  # whether it takes a JSON schema that its reply must follow
    temperature: float = 0.0
    max_tokens: int = 1024
    seed: int | None = 0
    concurrency: int = 4
    retries: int = 3  # of a request that got no reply
    repairs: int = 1  # of a reply that is no verdict
    request_timeout_s: float = 120.0
    input_usd: float | None = None  # per million tokens; null: not known
    output_usd: float | None = None
    image_tokens: int | None = None  # at most, for one picture


@dataclass
class JudgePromptConfig:
    """How a judge is asked: a rubric. One file in conf/judge/prompt/, never edited after use."""

    name: str = ""
    kind: str = ""  # pairwise or absolute: which judge it is for
    scale: list[float] = field(default_factory=lambda: [0.0, 10.0])  # the lowest and the highest score
    criteria: dict[str, str] = field(default_factory=dict)  # name -> what it means; each is a measure of its own
    system: str = ""  # the system text, a template as below
    template: str = ""  # Jinja2: what the judge is shown and asked (docs/judge.md)
    repair: str = ""  # what it is told once where its verdict can't be read


@dataclass
class JudgeConfig:
    """Whether and how answers are judged by a model. One file in conf/judge/."""

    name: str = "none"
    kind: str = "none"
    model: dict[str, JudgeModelConfig] = field(default_factory=dict)  # who judges; several judges agree or not
    prompt: JudgePromptConfig = field(default_factory=JudgePromptConfig)
    reference_answers: str | None = None  # pairwise: a job's folder or a file of answers to compare with
    orders: str = "both"
    image: bool = False  # whether the judge sees the pictures
    image_max_side: int = 1024
    max_answer_characters: int = 20_000  # a longer answer is cut, and the judge told so
    budget_usd: float | None = 5.0


@dataclass
class PoolConfig:
    """How many engines may be alive at once."""

    max_engines: int = 1
    gpus: int | None = None  # that each engine claims for itself; null: it sees all that are visible


@dataclass
class Config:
    """One job."""

    model: ModelConfig = field(default_factory=ModelConfig)
    quant: QuantConfig = field(default_factory=QuantConfig)
    backend: BackendConfig = field(default_factory=BackendConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    metrics: dict[str, Any] = field(default_factory=dict)  # metric -> its options
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    concurrency: int = 1
    # a job in which more fail ends at once: a share of its questions, or from 1 on their number; null: never
    max_failed: float | None = 0.5
    reuse: str = "same_conditions"
    published: str | None = None  # a file of published figures, shown beside those of this job
    plan: str = "run"  # dry: say what would be done; commands: print a command line for each group of jobs
    stage: str = "all"  # generate: ask and store only; score: score what `answers` names, without an engine
    answers: str | None = None  # for stage=score: file, job folder, sweep folder or MLflow run id
    # what the columns of a table of answers mean, where they are not called as usual
    answer_columns: dict[str, str | None] = field(default_factory=dict)
    rescore: bool = False  # replace the scores that a job already has by the same metrics
    warmup: int = 3  # requests that are asked first and not counted
    summaries: list[str] = field(default_factory=list)  # tables after a sweep: parity, memory_profile, resolution
    objective: str | None = "quality/cer"  # the metric a job returns, for Hydra's optimising sweepers


SUMMARIES = ("parity", "memory_profile", "resolution")
CHOICES: dict[str, tuple[str, ...]] = {
    "model.weights": ("real", "dummy"),
    "quant.dtype": DTYPES,
    "quant.quantization": ("none", "bnb_int8", "bnb_nf4"),
    "backend.dtype": DTYPES,
    "backend.attention": ("sdpa", "eager", "flash_attention_2"),
    "backend.dialect": ("openai", "local"),
    "backend.oom_policy": ("fail", "reduce_pixels"),
    "env.kind": ("current", "uv", "container", "remote"),
    "env.container.runtime": ("docker", "apptainer"),
    "env.container.pull": ("missing", "never"),
    "dataset.video_as": ("pictures", "video"),
    "prompt.system_role": ("system", "user"),
    "plan": ("run", "dry", "commands"),
    "tracking.traces": ("none", "failed", "all"),
    "judge.kind": ("none", "pairwise", "absolute"),
    "judge.orders": ("both", "alternate"),
    "stage": ("all", "generate", "score"),
    "reuse": ("same_conditions", "answers", "never"),
}
# key -> (lowest, highest) allowed value
RANGES: dict[str, tuple[float, float]] = {
    "model.min_pixels": (1, float("inf")),
    "model.max_pixels": (1, float("inf")),
    "backend.batch_size": (1, 4096),
    "model.threads": (1, 4096),
    "backend.threads": (1, 4096),
    "backend.start_timeout_s": (1, float("inf")),
    "backend.request_timeout_s": (0.001, float("inf")),
    "backend.retries": (0, 100),
    "backend.max_restarts": (0, 100),
    "env.remote.start_timeout_s": (1, float("inf")),
    "env.remote.stop_timeout_s": (1, float("inf")),
    "env.remote.max_hours": (1e-4, 10_000),
    "env.remote.price_per_hour": (0.001, 10_000),
    "env.remote.max_cost": (0.001, float("inf")),
    "dataset.limit": (1, float("inf")),
    "dataset.other_pages": (0, 100),
    "dataset.region_margin": (0, 10_000),
    "dataset.video_fps": (0.001, 120),
    "dataset.video_frames": (1, 768),
    "sampling.temperature": (0, 100),
    "sampling.top_p": (1e-6, 1),
    "sampling.top_k": (0, float("inf")),
    "sampling.repetition_penalty": (1e-6, 100),
    "sampling.max_tokens": (1, float("inf")),
    "sampling.repeats": (1, 10_000),
    "backend.replicas": (1, 1024),
    "judge.image_max_side": (28, 8192),
    "judge.max_answer_characters": (1, float("inf")),
    "judge.budget_usd": (0, float("inf")),
    "pool.max_engines": (1, 64),
    "pool.gpus": (1, 64),
    "concurrency": (1, 10_000),
    "max_failed": (0, float("inf")),
    "warmup": (0, 1000),
}


JUDGE_MODEL_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "max_tokens": (1, float("inf")),
    "concurrency": (1, 10_000),
    "retries": (0, 100),
    "repairs": (0, 3),
    "request_timeout_s": (0.001, float("inf")),
    "input_usd": (0, float("inf")),
    "output_usd": (0, float("inf")),
    "image_tokens": (0, float("inf")),
}


def register() -> None:
    """Tell Hydra the schema, as `base_config`, and what `${started:%H-%M-%S-%f}` means.

    Hydra's own `now` ends at seconds, and two commands may begin within one. Cached, so that a job that is composed in
    another process keeps the folder of its sweep.
    """
    store = ConfigStore.instance()
    # Hydra 1.3.8 deep-copies the whole store with its repository twice a job and five times a config group for --help
    # (_internal/config_repository.py, CachingConfigRepository). The store is a singleton that copies each node it hands
    # out (core/config_store.py, load), so nobody needs those copies; they took 80 % of the time of --help.
    ConfigStore.__deepcopy__ = lambda self, _memo: self
    schema = OmegaConf.structured(Config)
    for free in (schema.dataset.columns, schema.answer_columns, schema.report.constraints):
        # Else Hydra takes 'dataset.columns={question: Вопрос}' with a + only. What a key may be is checked by us.
        OmegaConf.set_struct(free, False)
    store.store(name="base_config", node=schema)
    OmegaConf.register_new_resolver("started", _started, use_cache=True, replace=True)


def _started(pattern: str) -> str:
    return STARTED.strftime(pattern)


def typed(cfg: DictConfig) -> Config:
    """Turn a composed config into the dataclasses above. Raise Refused for a value that is missing or out of range."""
    try:
        missing = [Problem("a value is needed", key, f"give it: {key}=...") for key in sorted(_missing(cfg))]
        if missing:
            raise Refused(missing)
        config = OmegaConf.to_object(cfg)
    except OmegaConfBaseException as error:
        raise Refused(_unresolved(error)) from error
    assert isinstance(config, Config)
    if unknown := list(_unknown(config)):
        raise Refused(Problem("there is no such key, and a + adds none", key) for key in unknown)
    if problems := list(check_values(cfg)):
        raise Refused(problems)
    return config


def _unresolved(error: OmegaConfBaseException) -> Problem:
    """Put OmegaConf's words for a value that can't be had into ours."""
    what, where = str(error).splitlines()[0], str(error.full_key or "")
    if unset := re.search(r"Environment variable '(\w+)' not found", what):
        return Problem(f"there is no environment variable {unset[1]}", where, f"export {unset[1]}=...")
    remedy = INTERPOLATED if isinstance(error, (InterpolationKeyError, GrammarParseError)) else ""
    return Problem(what, where, remedy)


def _missing(cfg: DictConfig) -> set[str]:
    return {str(key) for key in OmegaConf.missing_keys(cfg)}


def _unknown(value: Any, prefix: str = "") -> Iterator[str]:
    """Yield the keys that `+key=value` or `++key=value` has added to a schema.

    Nothing reads them, and the config.yaml of such a job fits the schema no more.
    """
    if dataclasses.is_dataclass(value):
        names = {field.name for field in dataclasses.fields(value)}
        yield from (f"{prefix}{name}" for name in getattr(value, "__dict__", {}) if name not in names)
        for name in names:
            yield from _unknown(getattr(value, name), f"{prefix}{name}.")
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _unknown(one, f"{prefix}{name}.")


def check_values(cfg: DictConfig) -> Iterator[Problem]:
    """Yield what a type can't say: values outside their choices or ranges."""
    for key, choices in CHOICES.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and value not in choices:
            yield Problem(f"{value!r} is not valid", key, f"one of: {', '.join(choices)}")
    for key, (low, high) in RANGES.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and not low <= value <= high:
            bounds = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
            yield Problem(f"{value!r} is out of range", key, bounds)
    yield from report_problems(cfg.report)
    for name in cfg.judge.model or {}:
        for key, (low, high) in JUDGE_MODEL_RANGES.items():
            value = cfg.judge.model[name].get(key)
            if value is not None and not low <= value <= high:
                yield Problem(f"{value!r} is out of range", f"judge.model.{name}.{key}", f"from {low:g} to {high:g}")
    if cfg.tracking.uri is not None and not cfg.tracking.uri:
        yield Problem("it is empty", "tracking.uri", "tracking=none, or a MLFLOW_TRACKING_URI that is not empty")
    yield from secret_values.find(cfg)
    for name in cfg.summaries:
        if name not in SUMMARIES:
            yield Problem(f"{name!r} is not valid", "summaries", f"any of: {', '.join(SUMMARIES)}")
    if (cfg.stage == "score") != (cfg.answers is not None):
        yield Problem("stage=score and answers=FILE belong together", "stage", "give both, or neither")
    if cfg.backend.replicas > cfg.concurrency:
        what = f"{cfg.backend.replicas} replicas and concurrency={cfg.concurrency}: some would never be asked"
        yield Problem(what, "backend.replicas", f"concurrency={cfg.backend.replicas} or more")
    if cfg.backend.replicas > 1 and cfg.backend.base_url:
        yield Problem("an endpoint that runs already can't be replicated here", "backend.replicas", "leave it out")
    low, high = cfg.model.min_pixels, cfg.model.max_pixels
    if low and high and low > high:
        yield Problem(f"min_pixels ({low}) is above max_pixels ({high})", "model.min_pixels", "swap or change them")
