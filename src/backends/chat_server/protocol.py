"""Parses and checks the JSON of a chat completion request. Standard library only.

Unknown parameters are refused, not ignored: a measurement with a setting that had no effect would mislead. The defaults
are OpenAI's 1.0 for `temperature` and `top_p`, and 256 for `max_tokens`; all other settings are off.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.chat_server.errors import RequestError

DEFAULT_MAX_TOKENS = 256
ROLES = ("system", "developer", "user", "assistant")

# OpenAI parameters that this server does not support, with their neutral values, which are accepted.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "min_p": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none",),
}
HARMLESS = ("user", "metadata", "store")
KNOWN = (
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"),
    *("repetition_penalty", "seed", "stop", "stream", "stream_options", "mm_processor_kwargs", "return_token_ids"),
    *("media_io_kwargs", "response_format", "chat_template_kwargs", "logprobs"),
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are sampled. `temperature=0` is greedy; `top_k=0` means no limit."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_tokens: int = DEFAULT_MAX_TOKENS
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """Limits of an image's area after resizing, in pixels. None: the server's limit, else the checkpoint's."""

    min_pixels: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A video: the indices of its frames in `ChatRequest.images`."""

    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn. A part is a text, the index of an image in `ChatRequest.images`, or a video."""

    role: str
    parts: tuple[str | int | Clip, ...]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `images` are encoded files in the order of the messages, including the frames of videos.

    `video_fps` is the rate of the videos' frames. `response_schema` is a JSON Schema, as JSON, that the answer is held
    to; None: it is not. `template_options` are variables for the chat template.
    """

    messages: tuple[ChatMessage, ...]
    images: tuple[bytes, ...] = ()
    video_fps: float = 1.0
    sampling: Sampling = Sampling()
    pixels: Pixels = Pixels()
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    return_token_ids: bool = False
    logprobs: bool = False
    response_schema: str | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)


def parse_chat_request(body: Any, served_model: str) -> ChatRequest:
    """Parse a decoded JSON body. Raise RequestError, which names the field: 404 for an unknown model, else 400."""
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object")
    _refuse_unsupported(body)
    model = body.get("model")
    if model != served_model:
        raise RequestError(
            f"model {model!r} is not served here; this server has {served_model!r}",
            status=400 if model is None else 404,  # like OpenAI
            code="model_not_found",
            param="model",
        )
    messages, images = _messages(body.get("messages"))
    stream_options = _mapping(body, "stream_options", ("include_usage", "continuous_usage_stats"))
    return ChatRequest(
        messages=messages,
        images=images,
        video_fps=_video_fps(body),
        sampling=_sampling(body),
        pixels=_pixels(_mapping(body, "mm_processor_kwargs", ("min_pixels", "max_pixels"))),
        stop=_stop(body.get("stop")),
        stream=_flag(body, "stream"),
        include_usage=_flag(stream_options, "include_usage"),
        return_token_ids=_flag(body, "return_token_ids"),
        logprobs=_flag(body, "logprobs"),
        response_schema=_response_schema(body),
        template_options=_template_options(body),
    )


def _refuse_unsupported(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if name in KNOWN or name in HARMLESS or value is None:
            continue
        if name in NEUTRAL and value in NEUTRAL[name]:
            continue
        raise RequestError(
            f"{name!r} is not supported by this server; leave it out. Supported: {', '.join(KNOWN)}",
            code="unsupported_parameter",
            param=name,
        )


def _sampling(body: Mapping[str, Any]) -> Sampling:
    limits = [name for name in ("max_tokens", "max_completion_tokens") if body.get(name) is not None]
    if len(limits) == 2 and body["max_tokens"] != body["max_completion_tokens"]:
        raise RequestError("max_tokens and max_completion_tokens differ; send one of them", param="max_tokens")
    name = limits[0] if limits else "max_tokens"
    # "No limit" is -1 in vLLM and 0 in Hugging Face.
    top_k = _integer(body, "top_k", 0, lambda k: k >= -1, "-1, 0 (no limit) or a positive integer")
    return Sampling(
        temperature=_number(body, "temperature", 1.0, lambda t: 0 <= t <= 100, "a number from 0"),
        top_p=_number(body, "top_p", 1.0, lambda p: 0 < p <= 1, "a number above 0, up to 1"),
        top_k=max(top_k, 0),
        repetition_penalty=_number(body, "repetition_penalty", 1.0, lambda r: r > 0, "a number above 0"),
        max_tokens=_integer(body, name, DEFAULT_MAX_TOKENS, lambda n: n >= 1, "a positive integer"),
        seed=None if body.get("seed") is None else _integer(body, "seed", 0, lambda s: abs(s) < 2**63, "an integer"),
    )


def _pixels(values: Mapping[str, Any]) -> Pixels:
    limits: dict[str, int | None] = {}
    for name in ("min_pixels", "max_pixels"):
        is_set = values.get(name) is not None
        limits[name] = _integer(values, name, 0, lambda n: n >= 1, "a positive integer") if is_set else None
    low, high = limits["min_pixels"], limits["max_pixels"]
    if low is not None and high is not None and low > high:
        raise RequestError(f"min_pixels {low} is larger than max_pixels {high}", param="mm_processor_kwargs")
    return Pixels(low, high)


def _template_options(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return variables for the chat template, such as enable_thinking. A family refuses what its template lacks."""
    value = body.get("chat_template_kwargs")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"chat_template_kwargs must be an object, got {value!r}", param="chat_template_kwargs")
    return value


def _video_fps(body: Mapping[str, Any]) -> float:
    """Return the rate of the frames. All frames are used, so `num_frames` must be -1, vLLM's value for all frames."""
    media = _mapping(body, "media_io_kwargs", ("video",))
    video = _mapping(media, "video", ("fps", "num_frames"))
    if video.get("num_frames") not in (None, -1):
        raise RequestError("media_io_kwargs.video.num_frames: -1, all that are sent", param="media_io_kwargs")
    return _number(video, "fps", 1.0, lambda rate: rate > 0, "a number above 0")


def _response_schema(body: Mapping[str, Any]) -> str | None:
    """Read OpenAI's `response_format`: a text, or JSON that follows a schema."""
    given = _mapping(body, "response_format", ("type", "json_schema"))
    if given.get("type", "json_schema" if "json_schema" in given else "text") == "text":
        return None
    named = _mapping(given, "json_schema", ("name", "description", "schema", "strict"))
    schema = named.get("schema")
    if given.get("type") != "json_schema" or not isinstance(schema, dict):
        words = 'response_format must be {"type": "json_schema", "json_schema": {"schema": {…}}} or {"type": "text"}'
        raise RequestError(words, param="response_format")
    return json.dumps(schema, ensure_ascii=False)


def _number(
    values: Mapping[str, Any], name: str, default: float, valid: Callable[[float], bool], expected: str
) -> float:
    value = values.get(name)
    if value is None:
        return default
    # bool is a subclass of int. A NaN fails every comparison in `valid`.
    if isinstance(value, bool) or not isinstance(value, int | float) or not valid(value):
        raise RequestError(f"{name} must be {expected}, got {value!r}", param=name)
    return float(value)


def _integer(values: Mapping[str, Any], name: str, default: int, valid: Callable[[int], bool], expected: str) -> int:
    value = values.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not valid(value):
        raise RequestError(f"{name} must be {expected}, got {value!r}", param=name)
    return value


def _flag(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RequestError(f"{name} must be true or false, got {value!r}", param=name)
    return value


def _mapping(body: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be an object, got {value!r}", param=name)
    if unknown := sorted(set(value) - set(keys)):
        raise RequestError(
            f"{name}: unknown {', '.join(map(repr, unknown))}; known: {', '.join(keys)}",
            code="unsupported_parameter",
            param=name,
        )
    return value


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise RequestError(f"stop must be a non-empty text or a list of non-empty texts, got {value!r}", param="stop")
    return tuple(texts)


def _messages(value: Any) -> tuple[tuple[ChatMessage, ...], tuple[bytes, ...]]:
    if not isinstance(value, list) or not value:
        raise RequestError("messages must be a non-empty list", param="messages")
    messages: list[ChatMessage] = []
    images: list[bytes] = []
    for number, message in enumerate(value):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise RequestError(f"{where} must be an object", param=where)
        role = message.get("role")
        if role not in ROLES:
            raise RequestError(f"{where}.role must be one of {', '.join(ROLES)}, got {role!r}", param=where)
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(parts, list) or not parts:
            raise RequestError(f"{where}.content must be a text or a non-empty list of parts", param=where)
        read = tuple(_part(part, f"{where}.content[{index}]", images) for index, part in enumerate(parts))
        messages.append(ChatMessage("system" if role == "developer" else role, read))
    return tuple(messages), tuple(images)


def _part(part: Any, where: str, images: list[bytes]) -> str | int | Clip:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind == "video_url":
        return _clip(part, where, images)
    if kind != "image_url":
        words = f'{where} must be a part of type "text", "image_url" or "video_url", got type {kind!r}'
        raise RequestError(words, param=where)
    address = part.get("image_url")
    url = address.get("url") if isinstance(address, dict) else address
    if not isinstance(url, str) or not url.startswith("data:"):
        raise RequestError(
            f"{where}: only images within the request are read (data:image/png;base64,...); nothing is fetched",
            param=where,
        )
    head, comma, payload = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise RequestError(f"{where}: the data: URL must be base64 (data:image/png;base64,...)", param=where)
    try:
        images.append(base64.b64decode(payload, validate=True))
    except binascii.Error as error:
        raise RequestError(f"{where}: broken base64: {error}", code="bad_image", param=where) from error
    return len(images) - 1


def _clip(part: Mapping[str, Any], where: str, images: list[bytes]) -> Clip:
    """Read a video that is a sequence of JPEGs, the form in which vLLM takes frames that were sampled already."""
    address = part.get("video_url")
    url = address.get("url") if isinstance(address, dict) else address
    prefix = "data:video/jpeg;base64,"
    if not isinstance(url, str) or not url.startswith(prefix):
        raise RequestError(f"{where}: only frames within the request are read ({prefix}FRAME,FRAME,...)", param=where)
    first = len(images)
    try:
        images.extend(base64.b64decode(frame, validate=True) for frame in url[len(prefix) :].split(","))
    except binascii.Error as error:
        raise RequestError(f"{where}: broken base64: {error}", code="bad_image", param=where) from error
    return Clip(tuple(range(first, len(images))))
