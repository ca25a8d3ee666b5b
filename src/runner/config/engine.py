"""The keys of conf/backend/*.yaml and conf/env/*.yaml: which engine serves a model, and where its process runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.model import DTYPES
from runner.config.values import one_of, within


@dataclass
class BackendConfig:
    """How a model is served. Each file in conf/backend/ sets these keys."""

    name: str = MISSING
    env: str | None = None  # the environment that this backend needs where the model names none; null: current
    batch_size: int | None = within(None, 1, 4096)  # null: the engine's default
    dtype: str | None = one_of(None, *DTYPES)  # overrides quant.dtype
    attention: str | None = one_of(None, "sdpa", "eager", "flash_attention_2")
    device: str = "auto"  # cuda, cpu; auto: a GPU where there is one
    threads: int | None = within(None, 1, 4096)  # CPU threads of the engine; null: model.threads, else torch's default
    engine_args: dict[str, Any] = field(default_factory=dict)  # passed to the engine's command line unchanged
    start_timeout_s: float = within(600.0, 1)
    request_timeout_s: float = within(600.0, 0.001)
    retries: int = within(2, 0, 100)
    replicas: int = within(
        1, 1, 1024
    )  # equal engines that share one job's questions; concurrency is the sum over all of them
    max_restarts: int = within(1, 0, 100)  # restarts of an engine that dies or hangs in the middle of a job
    # what to do with a sample at which the engine ran out of memory: fail it, or ask again with half the pixels
    oom_policy: str = one_of("fail", "fail", "reduce_pixels")
    prefix_cache: bool = False  # true: a prefix that prompts share is computed once, which makes later questions faster
    mm_cache: bool = False  # true: a picture that is asked about again is not processed again
    base_url: str | None = None  # address of an endpoint that runs already
    api_key_variable: str | None = None  # the environment variable that holds the endpoint's key
    dialect: str | None = one_of(
        None, "openai", "local"
    )  # openai: only what OpenAI's API takes; local: also what vLLM and SGLang take
    headers: dict[str, str] = field(default_factory=dict)  # `$NAME` in a value is replaced by an environment variable
    stream: bool = True  # false: an endpoint is asked for whole answers, so there is no time to the first token
    # true: sampling that an endpoint refuses is not sent, and the limit of tokens by its other name; notes say so
    adapt: bool = False
    # true: an endpoint with rate limits is sent as many requests at once as it bears, found from its refusals and its
    # headers; `concurrency` is the most
    adapt_concurrency: bool = False
    # settings that an endpoint refuses, left out of each request: temperature, top_p, max_tokens, seed, stop, ...
    omit: list[str] = field(default_factory=list)
    rename: dict[str, str] = field(default_factory=dict)  # our name of a setting -> the endpoint's name


@dataclass
class RemoteConfig:
    """A machine that is rented for an engine and given back. Each command is a list of words, run on this machine."""

    # words may contain {name}, which is replaced by a name made for each machine
    start: list[str] = MISSING  # ends when the machine exists; the last line that it prints is the {address}
    address: list[str] | None = None  # prints the {address} if `start` doesn't; repeated until it succeeds
    wait: list[str] | None = None  # repeated until it succeeds: then the engine can be started
    tunnel: list[str] | None = None  # forwards {port} of the machine to this machine, if `run` doesn't
    run: list[str] = MISSING  # runs {command}, one word for a shell, on the machine
    stop: list[str] = MISSING  # gives the machine back; always run, even after a failure
    python: str = "python3"  # the machine's interpreter
    folders: dict[str, str] = field(default_factory=dict)  # a folder on this machine -> the same folder on that machine
    pass_variables: list[str] = field(
        default_factory=list
    )  # environment variables of this machine passed to the engine
    gpu: str | None = None  # the machine's GPUs, such as 1x H100 80GB: recorded, and a condition of timings
    start_timeout_s: float = within(1200.0, 1)  # limit for start, address and wait together
    stop_timeout_s: float = within(600.0, 1)  # limit for each of three attempts
    max_hours: float = within(
        4.0, 0.0001, 10000
    )  # limit for the sum over all machines that one command starts; then they are given back
    price_per_hour: float | None = within(None, 0.001, 10000)  # USD
    max_cost: float | None = within(None, 0.001)  # USD; needs price_per_hour


@dataclass
class ContainerConfig:
    """The container that an engine runs in."""

    # a name with tag or digest: vllm/vllm-openai:v0.33.0, mine/hf@sha256:...; for Apptainer FILE.sif or docker://NAME
    image: str | None = None
    runtime: str = one_of("docker", "docker", "apptainer")  # docker, apptainer
    gpus: str = "auto"  # auto: the GPUs that are visible here; all, none, or indexes as in '0,1'
    network: str = "host"  # or the name of a Docker network; the engine's port is then published on 127.0.0.1
    user: str | None = None  # UID:GID; null: your own; image: the user that the image names
    shm_size: str | None = None  # size of /dev/shm, such as 8g: several GPUs need it; null: the runtime's default
    mounts: list[str] = field(default_factory=list)  # FOLDER[:PLACE][:rw]; read-only without :rw
    python: str = "python3"  # the image's interpreter
    pull: str = one_of(
        "missing", "missing", "never"
    )  # missing: an image that is not here is pulled; never: the job is refused
    host: str | None = None  # the daemon's socket, unix:///PATH; null: DOCKER_HOST, else the default socket


@dataclass
class EnvConfig:
    """Where an engine's process runs. Each file in conf/env/ sets these keys."""

    name: str = MISSING
    # current: this interpreter; uv: built from a requirements file; container: an image; remote: another machine
    kind: str = one_of("current", "current", "uv", "container", "remote")
    requirements: str | None = None  # the file in envs/ from which the environment is built
    python: str | None = None  # a version or an interpreter; null: the runner's
    overlays: list[str] = field(default_factory=list)  # folders copied over site-packages
    remove: list[str] = field(default_factory=list)  # packages that are uninstalled again
    commands: list[str] = field(default_factory=list)  # commands run last, in site-packages
    variables: dict[str, Any] = field(
        default_factory=dict
    )  # environment variables of the engine; {site} is site-packages
    engine_args: dict[str, Any] = field(default_factory=dict)  # flags the engine needs here; backend.engine_args wins
    # USD for an hour of what one engine runs on; null: not known, or env.remote.price_per_hour
    price_per_hour: float | None = within(None, 0)
    remote: RemoteConfig | None = None  # for kind: remote
    container: ContainerConfig | None = None  # for kind: container


@dataclass
class PoolConfig:
    """How many engines may run at once."""

    max_engines: int = within(1, 1, 64)
    gpus: int | None = within(None, 1, 64)  # GPUs that each engine claims for itself; null: it uses all visible GPUs
    # fetch the next engine's checkpoint from the hub while this one answers; null: on four cores or more
    fetch_ahead: bool | None = None
