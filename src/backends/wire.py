"""Encodes a request as the JSON body of an OpenAI chat completion.

    {"model": "model", "stream": true, "temperature": 0.0, ..., "messages": [{"role": "user", "content": [...]}]}

The body is joined from pieces, so that the megabytes of an image are base64-encoded once and never pass through the
JSON encoder. To encode a picture of 150 kB, the standard library takes 250 us and pybase64 takes 4 us.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import pybase64

from backends.api import Endpoint, Failure, GenerationRequest, ImagePart, Message, TextPart, VideoPart

_ENCODER = json.JSONEncoder(
    separators=(",", ":")
)  # json.dumps makes an encoder for each call, which takes a third of its time

# Settings that engines of ours take, and an endpoint only where `Endpoint.rename` names them.
LOCAL_SETTINGS = ("top_k", "repetition_penalty")
# The settings that `Endpoint.omit` and `Endpoint.rename` may name, and the key of a config that sets the value. Without
# the others no request could be made or read.
SET_BY = {
    "stream_options": "backend.stream",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "max_tokens": "sampling.max_tokens",
    "seed": "sampling.seed",
    "stop": "sampling.stop",
    "response_format": "response_schema",
    "logprobs": "sampling.logprobs",
    "top_k": "sampling.top_k",
    "repetition_penalty": "sampling.repetition_penalty",
}
SETTINGS = tuple(SET_BY)
_REFUSED = re.compile(
    r"support|recogni[sz]ed|unknown|unexpected|not permitted|extra|not allowed|invalid|deprecated|cannot both|only one"
    r"|not compatible|forbidden|unrecogni[sz]ed",
    re.IGNORECASE,
)
# What `adapted` may leave out of requests.
MAY_BE_LEFT_OUT = ("temperature", "top_p", "seed", "stream_options", "logprobs")
# Anthropic: "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
_EITHER = re.compile(r"cannot both|only one", re.IGNORECASE)

# Refusals of a value that is out of range. They name a valid value; leaving out the setting would change the request.
_OUT_OF_RANGE = re.compile(
    r"too (large|high|big|long|small|low)|at (most|least)|(less|greater|smaller|larger|more) than|between"
    r"|range|maximum",
    re.IGNORECASE,
)


def unsendable(request: GenerationRequest, endpoint: Endpoint) -> tuple[str, ...]:
    """Return the settings that matter for this request and that this endpoint does not take.

    Without them the answer would be that of another request.
    """
    if endpoint.dialect == "local":
        return ()  # engines of ours take all of them
    sampling, pixels = request.sampling, request.pixels
    matters = {
        "top_k": sampling.top_k != 0 and "top_k" not in endpoint.rename,
        "repetition_penalty": sampling.repetition_penalty != 1.0 and "repetition_penalty" not in endpoint.rename,
        "min_pixels": pixels.min_pixels is not None,
        "max_pixels": pixels.max_pixels is not None,
        "video": bool(_videos(request)),
    }
    return tuple(name for name, is_needed in matters.items() if is_needed)


def unread(request: GenerationRequest, endpoint: Endpoint) -> tuple[str, ...]:
    """Return the media types of pictures that the endpoint would leave out: its answer would be one without them."""
    parts = (part for message in request.messages for part in message.parts)
    return tuple(sorted({part.media_type for part in parts if isinstance(part, ImagePart)} & set(endpoint.unread)))


def body(request: GenerationRequest, endpoint: Endpoint, *, stream: bool = True) -> bytes:
    """Return the JSON body that sends `request` to `endpoint`. `stream=False` asks for an answer in one piece."""
    pieces = [_json(_settings(request, endpoint, stream=stream))[:-1], b',"messages":[']
    for index, message in enumerate(request.messages):
        if index:
            pieces.append(b",")
        _append_message(pieces, message)
    pieces.append(b"]}")
    return b"".join(pieces)


def _settings(request: GenerationRequest, endpoint: Endpoint, *, stream: bool) -> dict[str, Any]:
    """Return everything except the messages: without what is to omit, with the endpoint's names and what it adds."""
    settings = _all_settings(request, endpoint)
    if not stream:
        settings["stream"] = False
        del settings["stream_options"]
    sent = {endpoint.rename.get(name, name): value for name, value in settings.items() if name not in endpoint.omit}
    for name, value in endpoint.extra.items():
        ours = sent.get(name)
        # mm_processor_kwargs holds our pixel limits, and may hold what a model's processor takes besides.
        sent[name] = {**value, **ours} if isinstance(value, Mapping) and isinstance(ours, Mapping) else value
    return sent


def with_remedy(failure: Failure, status: int, endpoint: Endpoint) -> Failure:
    """Add to a failure which key of the config helps if an endpoint refuses a part of our requests."""
    if failure.kind != "bad_request" or status not in (400, 422):
        return failure
    added = [name for name in endpoint.extra if _names(failure.message, name)]
    if _OUT_OF_RANGE.search(failure.message):
        keys = [SET_BY[name] for name in _named(failure, endpoint) if name != "stream_options"]
        return _told(failure, "It is set by", keys + [f"model.request.{name}" for name in added])
    changes = _changes(failure, endpoint)
    if _REFUSED.search(failure.message) and "max_tokens" not in changes:
        changes |= dict.fromkeys(added)
    keys = [f"++model.request.{name}={other or 'null'}" for name, other in changes.items()]
    return _told(failure, "What helps:", keys)


def adapted(failure: Failure, status: int, endpoint: Endpoint) -> Endpoint | None:
    """Return the endpoint with requests in which nothing is left that it refused by name; None if nothing would help.

    The limit of tokens is sent under its other name. Of the others only those of sampling are left out, and what no
    answer depends on: without a schema or a stop text the answer would be that of another request.
    """
    if not endpoint.adapt or failure.kind != "bad_request" or status not in (400, 422):
        return None
    changes = {} if _OUT_OF_RANGE.search(failure.message) else _changes(failure, endpoint)
    if "max_tokens" in changes:
        other = changes["max_tokens"] or "max_completion_tokens"
        # If it refuses both names, there is no third.
        tried = endpoint.rename.get("max_tokens") == other or other in endpoint.refused
        names = {**endpoint.rename, "max_tokens": other}
        refused = (*endpoint.refused, endpoint.rename.get("max_tokens", "max_tokens"))
        return None if tried else dataclasses.replace(endpoint, rename=names, refused=refused)
    omitted = [name for name in changes if name in MAY_BE_LEFT_OUT]
    return dataclasses.replace(endpoint, omit=(*endpoint.omit, *omitted)) if omitted else None


def adaptations(before: Endpoint, now: Endpoint) -> tuple[str, ...]:
    """Return as remarks on an answer what `adapted` changed."""
    omitted = (f"not_sent={name}" for name in now.omit if name not in before.omit)
    renamed = (f"sent_as={name}:{other}" for name, other in now.rename.items() if before.rename.get(name) != other)
    return (*omitted, *renamed)


def _named(failure: Failure, endpoint: Endpoint) -> list[str]:
    """Return the settings of ours that a refusal names."""
    known = SETTINGS if endpoint.dialect == "openai" else ()
    return [
        name for name in known if name not in endpoint.omit and _names(failure.message, endpoint.rename.get(name, name))
    ]


def _changes(failure: Failure, endpoint: Endpoint) -> dict[str, str | None]:
    """Return what to change so that nothing is sent that was refused: setting -> another name, or None to omit it."""
    words = failure.message
    limit = endpoint.rename.get("max_tokens", "max_tokens")
    if endpoint.dialect == "openai" and "max_completion_tokens" in words and "max_tokens" not in endpoint.omit:
        # Both are names of one limit: the newer one is refused by older servers, the older one by newer models.
        return {"max_tokens": "max_tokens" if limit == "max_completion_tokens" else "max_completion_tokens"}
    if not _REFUSED.search(words):
        return {}
    named = _named(failure, endpoint)
    return dict.fromkeys(named[-1:] if _EITHER.search(words) else named)


def _names(words: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) is not None


def _told(failure: Failure, what: str, keys: list[str]) -> Failure:
    if not keys:
        return failure
    return dataclasses.replace(failure, message=f"{failure.message.rstrip('.')}. {what} {' '.join(keys)}")


def _all_settings(request: GenerationRequest, endpoint: Endpoint) -> dict[str, Any]:
    """Return every setting by OpenAI's name. All sampling values are sent, because engines differ in their defaults."""
    sampling = request.sampling
    settings: dict[str, Any] = {
        "model": endpoint.model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.seed is not None:
        settings["seed"] = sampling.seed
    if sampling.stop or endpoint.dialect == "local":
        settings["stop"] = list(sampling.stop)
    if request.response_schema is not None:
        schema = {"name": "answer", "schema": dict(request.response_schema), "strict": True}
        settings["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.logprobs:
        settings["logprobs"] = True
    # vLLM and SGLang take -1 for no limit; SGLang refuses 0.
    local = {
        "top_k": sampling.top_k if sampling.top_k > 0 else -1,
        "repetition_penalty": sampling.repetition_penalty,
    }
    if endpoint.dialect == "openai":
        return settings | {name: value for name, value in local.items() if name in endpoint.rename}
    settings |= local
    if endpoint.token_ids:
        settings["return_token_ids"] = True
    limits = {"min_pixels": request.pixels.min_pixels, "max_pixels": request.pixels.max_pixels}
    if set_limits := {name: value for name, value in limits.items() if value is not None}:
        settings["mm_processor_kwargs"] = set_limits
    if videos := _videos(request):
        # -1: the engine uses all frames that are sent. The rate of the first video applies to all of them.
        settings["media_io_kwargs"] = {"video": {"num_frames": -1, "fps": videos[0].fps}}
    return settings


def _videos(request: GenerationRequest) -> list[VideoPart]:
    return [part for message in request.messages for part in message.parts if isinstance(part, VideoPart)]


def _append_message(pieces: list[bytes], message: Message) -> None:
    pieces += (b'{"role":', _json(message.role), b',"content":')
    texts = [part.text for part in message.parts if isinstance(part, TextPart)]
    if len(texts) == len(message.parts) == 1:  # some chat templates take a system turn only as plain text
        pieces += (_json(texts[0]), b"}")
        return
    pieces.append(b"[")
    for index, part in enumerate(message.parts):
        if index:
            pieces.append(b",")
        if isinstance(part, ImagePart):
            prefix = _json(f"data:{part.media_type};base64,")[:-1]  # without its closing quote
            base64 = pybase64.b64encode(part.data)
            pieces += (b'{"type":"image_url","image_url":{"url":', prefix, base64, b'"}}')
        elif isinstance(part, VideoPart):  # a JPEG sequence, as vLLM reads it
            frames = b",".join(pybase64.b64encode(frame) for frame in part.frames)
            pieces += (b'{"type":"video_url","video_url":{"url":"data:video/jpeg;base64,', frames, b'"}}')
        else:
            pieces.append(_json({"type": "text", "text": part.text}))
    pieces.append(b"]}")


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode("ascii")
