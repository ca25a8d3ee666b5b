"""What a backend is and what is said to it: the contracts of this package. Standard library only.

A *backend* (`hf`, `vllm`, ...) knows how a model is served. An *engine* is one model served by one backend in one
environment: a process of its own that speaks OpenAI chat completions on 127.0.0.1. A *generation* is one answer with
its timing, or the failure that stands in its place.
"""

from __future__ import annotations

import dataclasses
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

# ------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text within a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An encoded image (PNG, JPEG, WebP ...) within a message. The bytes are sent as they are."""

    data: bytes = field(repr=False)
    media_type: str

    @classmethod
    def from_file(cls, path: str | Path) -> ImagePart:
        """Read an image file without decoding it."""
        media_type = mimetypes.guess_type(str(path))[0] or "application/octet-stream"
        return cls(Path(path).read_bytes(), media_type)


@dataclass(frozen=True, slots=True)
class VideoPart:
    """Frames of a video within a message, encoded as JPEG, `fps` of them a second."""

    frames: tuple[bytes, ...] = field(repr=False)
    fps: float


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat: who speaks (`system`, `user`, `assistant`) and what, in order."""

    role: str
    parts: tuple[TextPart | ImagePart | VideoPart, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Every value is sent, so that nothing is left to an engine's default.

    `temperature=0` is greedy. `top_k=0` means no limit. `seed=None` leaves a sampled answer unrepeatable.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = 128
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """Bounds on the area, in pixels, that an image is resized to before the model sees it. None: the model's own."""

    min_pixels: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question to an engine. `key` is the caller's name for it and comes back with the answer.

    `logprobs` asks for the log-probabilities of the answer's tokens.
    """

    key: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    pixels: Pixels = Pixels()
    response_schema: Mapping[str, Any] | None = None
    logprobs: bool = False


# -------------------------------------------------------------------------------------------------- answers

FailureKind = Literal[
    "bad_request",  # the engine refuses this request: unreadable image, unknown parameter
    "context_too_long",  # the prompt does not fit the model's context
    "out_of_memory",
    "timeout",
    "rate_limited",
    "server_error",
    "connection",  # the engine could not be reached, or hung up
    "bad_response",  # not an answer in the agreed protocol
    "content_filter",  # the endpoint withheld its answer, or refused the question, by its rules on content
    "engine_died",
    "start_failed",
    "unauthorised",
    "bad_input",  # the sample itself could not be read; nothing was sent
    "over_budget",  # the budget doesn't allow another request, or no more time on a rented machine
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. `retryable`: asking again may help. `retry_after_s`: the endpoint's own wish."""

    kind: FailureKind
    message: str
    retryable: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; what is unknown is None.

    `sent_at` is Unix time. `latency_s` runs from sending to the last chunk that holds a choice, `ttft_s` to the first
    non-empty piece of text, both on the client's clock; `tail_s` is what came behind: an account of tokens, [DONE].
    `queue_s`, `prefill_s` and `decode_s` are the engine's own account. `tokens_after_first` is how many tokens came
    between `ttft_s` and `latency_s`: what a time per token divides by. `answer_ttft_s` runs to the first piece of the
    answer itself: later than `ttft_s` where a model is seen to think before.

    In an open load `sent_at` is when the request was due. `latency_s`, `ttft_s` and `answer_ttft_s` count from then:
    they contain whatever passed until it was sent, of which `late_s` is what passed before the first attempt.
    `settled` is false where it was due before the load had settled; such an answer is not measured.
    """

    sent_at: float
    latency_s: float
    ttft_s: float | None = None
    queue_s: float | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
    tail_s: float | None = None
    tokens_after_first: float | None = None
    answer_ttft_s: float | None = None
    late_s: float | None = None
    settled: bool | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The tokens of an answer's text, without reasoning and the end of the turn, and how probable each was.

    `lengths` are the numbers of characters that each token adds to the text; their sum is the text's. It is 0 for a
    piece of a character, which the token that completes it adds. `logprobs` are natural logarithms of the
    probabilities before temperature and penalties (SGLang: behind the temperature), among what a schema allows.
    `problem` says why they can't be told although the engine sent some; then both are empty.
    """

    lengths: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer, or the failure in its place: exactly one of `text` and `error` is set.

    `finish_reason` is OpenAI's word (`stop`, `length`, ...), whatever the server's was. `completion_tokens` include
    the `reasoning_tokens`, `prompt_tokens` the `cached_tokens`, which are cheaper at some endpoints. `image_tokens` and
    `image_sizes` (width, height in pixels) are what the engine says that the model saw. `prompt_digest` names the
    prompt's token ids, those of images included: engines with the same digest had the same prompt. `conditions` are
    what decides the timing and not the text. `lowered_max_pixels` is the limit on an image's area where it was lowered
    for this question, memory having run out. `remarks` are words for what a reader of the answer must know: `refusal`
    (the text is the words by which the model declined), `tool_calls` (it called some beside its text), `other_choices`
    (there were more than the first), `reasoning_in_content`, `cut_before_answer`, `end_of_turn`, `no_finish_reason`,
    `repeated_messages`, `not_streamed`, `not_sent=NAME` and `sent_as=NAME:OTHER` for settings that the endpoint
    refused, and `finish_reason=WORD` for the server's own word.
    """

    key: str
    text: str | None
    error: Failure | None
    timing: Timing | None = None
    reasoning: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    token_ids: tuple[int, ...] | None = None
    image_tokens: int | None = None
    image_sizes: tuple[tuple[int, int], ...] | None = None
    prompt_digest: str | None = None
    attempts: int = 1
    served_model: str | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    lowered_max_pixels: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    remarks: tuple[str, ...] = ()
    token_logprobs: TokenLogprobs | None = None  # None: not asked for, or the engine sent none

    def __post_init__(self) -> None:
        """Refuse a generation that is both or neither."""
        if (self.text is None) == (self.error is None):
            raise ValueError(f"generation {self.key!r}: exactly one of text and error must be set")


# -------------------------------------------------------------------------------------------------- engines


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What decides which engine is needed: jobs with equal specs share one.

    `checkpoint` is a folder, a hub name or an endpoint's model; `digest` names its content (empty for an endpoint).
    `weights` is `real` or `dummy` (the architecture with random weights). `args` are further settings as sorted
    (name, value) pairs of text: dtype, attention, batch size, pixels where they are fixed at start, engine arguments.
    `files` are the names of the files in the checkpoint that are loaded, where not all of them are: of GGUF the model
    first, and then its projector for pictures, if it has one.
    `largest_pixels` is the largest area in pixels to which requests will limit a picture, for an engine that reserves
    memory for its largest picture; None: some request sets no limit. It tells no two specs apart.
    """

    backend: str
    checkpoint: str
    digest: str = ""
    revision: str = ""
    quant: str = "native"
    env: str = "current"
    weights: str = "real"
    args: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    largest_pixels: int | None = field(default=None, compare=False, repr=False)

    def with_limits_of(self, other: EngineSpec) -> EngineSpec:
        """Return the spec of an engine that both can share."""
        limits = (self.largest_pixels, other.largest_pixels)
        return dataclasses.replace(self, largest_pixels=None if None in limits else max(one or 0 for one in limits))

    def covers(self, other: EngineSpec) -> bool:
        """Whether an engine that was started for this spec has reserved enough for an equal spec."""
        if self.largest_pixels is None:
            return True
        return other.largest_pixels is not None and other.largest_pixels <= self.largest_pixels

    def arg(self, name: str, default: str = "") -> str:
        """Return one of `args`, or `default` where it is not given."""
        return dict(self.args).get(name, default)


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A pattern in an engine's log, and what it means. A `{name}` in the message is the first group that matched."""

    pattern: re.Pattern[str]
    message: str
    kind: FailureKind = "start_failed"


@dataclass(frozen=True, slots=True)
class Undo:
    """A command that undoes what an engine's own command began and its end does not end: a machine, a container.

    `argv` is run in the folder `cwd` once the engine has ended, however the runner ended, after each of `waits_s`
    seconds until it succeeds. Each time it gets `timeout_s` seconds; `timeout_key` is the setting which says so. It
    sees the runner's environment variables. `what` names for people what it ends, `doing` says what it does (empty: it
    is not told of), and `warning` what must be said where it failed.

    `record` is a file that exists from before the start until `argv` has succeeded, so that others know of what may be
    left. `prints`: the command prints something where it ended something, so that silence after a start which was
    killed means that it came too early. `absent` stands in its error where there was nothing to end.

    `find` is needed where the engine's processes are not descendants of its command: it prints the process id of the
    first of them, and a word that stands in its /proc/PID/cgroup. `account` is what the time from the start to the end
    is summed under, and `price_per_hour` what an hour of it costs in USD.
    """

    name: str
    what: str
    argv: tuple[str, ...]
    warning: str
    doing: str = ""
    cwd: str | None = None
    waits_s: tuple[float, ...] = (0.0, 2.0, 2.0)
    timeout_s: float = 30.0
    timeout_key: str = ""
    record: str | None = None
    prints: bool = False
    absent: str = ""
    find: tuple[str, ...] = ()
    account: str = ""
    price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How an engine is started and spoken to. Paths are those of its HTTP server.

    `argv[0]` may be `python`: the environment puts its own interpreter there. `variables` are added to the process's
    environment; secrets go there and never into `argv`, which any user of the machine can read. `key_variable` is the
    one through which the server takes its API key, which is made when it is started. `peak_gauge` names a Prometheus
    gauge of `statistics_path` whose peak matters: it is polled, and the body after holds one more line with the highest
    value seen, `runner_peak 0.25`. `token_ids` says whether they may be asked for in a stream. `headers`, `rename`,
    `extra`, `unread`, `dialect`, `adapt` and `stream` are those of its `Endpoint`. `private_path` is answered to our
    key alone, by which we know that it is our server.

    What an environment adds: `port_variable` gets the engine's port. `ready_marker` stands in the log when what is
    started before the engine is there; the engine's own time counts from then. `known_failures` are looked for in the
    log before the backend's. `shown` is the command for messages, where `argv` would say nothing to people.
    `unmeasured` says why the memory of its processes is not measured. `undo` is run when the engine has ended.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    key_variable: str = "RUNNER_ENGINE_KEY"
    model: str = "model"
    api_path: str = "/v1"
    health_path: str = "/health"
    statistics_path: str | None = None
    reset_path: str | None = None
    peak_gauge: str | None = None
    token_ids: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    dialect: Literal["local", "openai"] = "local"
    adapt: bool = False
    stream: bool = True
    private_path: str = ""
    port_variable: str = ""
    ready_marker: str = ""
    known_failures: tuple[KnownFailure, ...] = ()
    shown: str = ""
    unmeasured: str = ""
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where chat completions are asked for. `url` ends before `/chat/completions`.

    `dialect` is `local` for the engines that we start, which take every sampling value, or `openai` for endpoints that
    refuse what OpenAI's own does not know (`top_k`, `repetition_penalty`, pixels). `token_ids` says whether they may be
    asked for: SGLang refuses a stream with them. `image_token` is the id that stands for a piece of an image in the
    prompt; where it is known, they are counted for engines that don't. `omit` and `rename` are settings of a request
    that the endpoint refuses, or knows by another name; `extra` is added to the body of each. `stream=False` asks for
    answers in one piece. `adapt`: what it refuses by name is sent otherwise, or left out, and remarks of the answer say
    so; `refused` are names of the limit of tokens that it refused. `unread` are media types of pictures that it would
    leave out without a word, so that they are never sent.
    """

    url: str
    model: str
    dialect: Literal["local", "openai"] = "local"
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token_ids: bool = True
    image_token: int | None = None
    omit: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = True
    adapt: bool = False
    refused: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine used between a mark and now, GiB and seconds; unknown is None.

    `cpu_peak_gib` is the peak of the summed PSS of its process tree, `gpu_peak_gib` that of its GPU memory as NVML
    counts it. The parts (`weights_gib` ...) and `needed_gib` are the engine's own account. All are
    sums over the GPUs that the engine is spread over. `notes` label a figure
    that is not what its name says at once, for example a peak that could not be reset.
    """

    gpu_peak_gib: float | None = None
    cpu_peak_gib: float | None = None
    weights_gib: float | None = None
    kv_reserved_gib: float | None = None
    kv_used_gib: float | None = None
    activation_gib: float | None = None
    graphs_gib: float | None = None
    needed_gib: float | None = None
    energy_joules: float | None = None
    prefix_hit_rate: float | None = None
    mm_hit_rate: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in an engine's life from which `Engine.since` counts. Opaque to callers."""

    at: float
    state: Mapping[str, Any] = field(default_factory=dict)


class EngineFailed(Exception):
    """An engine could not be started or can't be used any more; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        """Keep the failure; its message is the exception's."""
        super().__init__(failure.message)
        self.failure = failure


@runtime_checkable
class Backend(Protocol):
    """How one kind of server is started and understood. Pure: no process, file or network is touched."""

    name: str

    def launch(self, spec: EngineSpec, port: int) -> Launch | Endpoint:
        """Return the command that serves `spec` on 127.0.0.1:`port`, or the endpoint that serves it already.

        Raise ValueError for what it can't serve.
        """
        ...

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        ...

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Read the engine's own account from two bodies of its `statistics_path` and its log."""
        ...


class Engine(Protocol):
    """A running engine. Its methods block and belong to no event loop; `backends.client.Client` asks it."""

    spec: EngineSpec
    endpoint: Endpoint
    load_s: float | None

    @property
    def log_path(self) -> Path | None:
        """Where its output is kept, if anywhere."""
        ...

    def alive(self) -> bool:
        """Whether the process runs."""
        ...

    def crash_report(self) -> Failure:
        """Say why it died, with the last lines of its log."""
        ...

    def mark(self) -> Mark:
        """Reset the peaks that can be reset and remember where the others stand."""
        ...

    def since(self, mark: Mark) -> EngineStats:
        """Return what was used since `mark`."""
        ...

    def close(self) -> None:
        """End the process and all its children. Safe to call twice."""
        ...
