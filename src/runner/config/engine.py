"""The keys of conf/backend/*.yaml and conf/env/*.yaml: what serves a model, and where its process runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.model import DTYPES
from runner.config.values import one_of, within


@dataclass
class BackendConfig:
    """How a model is served. One file in conf/backend/."""

    name: str = MISSING
    env: str | None = None  # the environment this backend needs where the model names none; null: current
    batch_size: int | None = within(None, 1, 4096)  # null: the engine's own
    dtype: str | None = one_of(None, *DTYPES)  # overrides the quantisation's
    attention: str | None = one_of(None, "sdpa", "eager", "flash_attention_2")
    device: str = "auto"  # cuda, cpu; auto: a GPU where there is one
    threads: int | None = within(None, 1, 4096)  # CPU threads of the engine; null: the model's, else torch's choice
    engine_args: dict[str, Any] = field(default_factory=dict)  # handed to the engine's command line as they are
    start_timeout_s: float = within(600.0, 1)
    request_timeout_s: float = within(600.0, 0.001)
    retries: int = within(2, 0, 100)
    replicas: int = within(
        1, 1, 1024
    )  # engines of the same kind that share one job's questions; concurrency is of all together
    max_restarts: int = within(1, 0, 100)  # of an engine that dies or hangs in the middle of a job
    # what to do with a sample that memory runs out at: fail it, or ask it again with its picture at half the area
    oom_policy: str = one_of("fail", "fail", "reduce_pixels")
    prefix_cache: bool = False  # true: what prompts have in common is computed once, which flatters later questions
    mm_cache: bool = False  # true: the same picture is prepared once
    base_url: str | None = None  # of an endpoint that runs already
    api_key_variable: str | None = None  # the environment variable that holds its key
    dialect: str | None = one_of(
        None, "openai", "local"
    )  # openai: what OpenAI's own takes; local: vLLM and SGLang take more
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
    start_timeout_s: float = within(1200.0, 1)  # for start, address and wait together
    stop_timeout_s: float = within(600.0, 1)  # for one attempt of three
    max_hours: float = within(
        4.0, 0.0001, 10000
    )  # of all machines that one command starts, in sum; then they are given back
    price_per_hour: float | None = within(None, 0.001, 10000)  # USD
    max_cost: float | None = within(None, 0.001)  # USD; with price_per_hour


@dataclass
class ContainerConfig:
    """The container that an engine runs in."""

    # a name with its tag or digest: vllm/vllm-openai:v0.33.0, mine/hf@sha256:...; for Apptainer FILE.sif or docker://NAME
    image: str | None = None
    runtime: str = one_of("docker", "docker", "apptainer")  # docker, apptainer
    gpus: str = "auto"  # auto: those visible here; all, none, or indexes as in '0,1'
    network: str = "host"  # or a network of Docker's, from which the engine's port is published on 127.0.0.1
    user: str | None = None  # UID:GID; null: your own; image: the one that the image names
    shm_size: str | None = None  # 8g: of /dev/shm, which engines on several GPUs need; null: the runtime's own
    mounts: list[str] = field(default_factory=list)  # FOLDER[:PLACE][:rw], read-only unless said
    python: str = "python3"  # the image's interpreter
    pull: str = one_of(
        "missing", "missing", "never"
    )  # missing: an image that is not here is pulled; never: it is refused
    host: str | None = None  # the daemon's socket, unix:///PATH; null: DOCKER_HOST, or the usual one


@dataclass
class EnvConfig:
    """Where an engine's process runs. One file in conf/env/."""

    name: str = MISSING
    # current: this interpreter; uv: built from a requirements file; container: an image; remote: another machine
    kind: str = one_of("current", "current", "uv", "container", "remote")
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
class PoolConfig:
    """How many engines may be alive at once."""

    max_engines: int = within(1, 1, 64)
    gpus: int | None = within(None, 1, 64)  # that each engine claims for itself; null: it sees all that are visible
