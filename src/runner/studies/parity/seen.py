"""What a backend saw of each sample: as it reports it, or derived, with from what.

- visual tokens: counted in the prompt's token ids by the engine or our client; else the prompt's tokens less those of
  its text, which another backend with the same prompt counted;
- pixels: reported; else computed by the processor's rule, and confirmed by the number of visual tokens.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.llama_cpp import QUANT
from runner.asking import visual_input
from runner.config.request_form import request_form
from runner.jobs.folder import JobFolder

_SAMPLING = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "seed")
Key = tuple[str, int]  # sample id and repeat


@dataclass(frozen=True, slots=True)
class Seen:
    """What one backend saw of one sample. None: it can't be known. `pixels` are (width, height) of each picture."""

    prompt_tokens: int | None
    prompt_digest: str | None
    visual_tokens: int | None
    pixels: tuple[tuple[int, int], ...] | None
    tokens_by: str
    pixels_by: str


@dataclass(frozen=True)
class Side:
    """One backend of a comparison."""

    folder: Path
    label: str
    rows: Mapping[Key, Mapping[str, Any]]
    seen: Mapping[Key, Seen]
    sampling: str
    is_greedy: bool
    qwen_vl_utils: str = ""  # whether Qwen's own package gives pictures the sizes that the engine gave them


def backend(result: JobFolder) -> str:
    """Return the name of a job's backend."""
    return str(result.config["backend"]["name"])


def quant(result: JobFolder) -> str:
    """Return the name of a job's quantisation."""
    return str(result.config["quant"]["name"])


def is_gguf(result: JobFolder) -> bool:
    """Say whether a job's model came from GGUF files."""
    return quant(result).startswith(QUANT)


def label(result: JobFolder) -> str:
    """Return a job's backend and, where it has one of its own, its environment: `vllm (vllm_cpu)`.

    Of GGUF files it is the quantisation, of which several may stand beside one baseline: `llama_cpp (gguf_q8_0)`.
    """
    env = quant(result) if is_gguf(result) else str(result.environment.get("env", "")).partition("@")[0]
    return f"{backend(result)} ({env})" if env not in ("", "current") else backend(result)


def side(result: JobFolder) -> Side:
    """Read a job's answers, and what its backend saw."""
    rows = {(row["sample_id"], row["repeat"]): row for row in result.rows()}
    omitted = [*request_form(result.config).omit, *result.environment.get("not_sent", ())]
    sampling = {**result.config["sampling"], **dict.fromkeys(omitted, "not sent")}
    given = " ".join(f"{name}={sampling.get(name)}" for name in _SAMPLING)
    rule = _rule(result)
    seen = {key: _seen(row, rule) for key, row in rows.items() if row["error"] is None}
    compared = str((result.environment.get("engine") or {}).get("qwen_vl_utils", ""))
    return Side(result.path, label(result), rows, seen, given, sampling["temperature"] == 0, compared)


def _rule(result: JobFolder) -> visual_input.ResizeRule | None:
    if result.config["dataset"].get("region") is not None:  # rows name the whole page, and a part of it was sent
        return None
    model, environment = result.config["model"], result.environment
    location, revision = str(environment.get("checkpoint", "")), str(environment.get("checkpoint_digest", ""))
    revision = revision.rpartition("@")[2] if revision.startswith(f"{location}@") else ""
    return visual_input.resize_rule(location, revision, model.get("min_pixels"), model.get("max_pixels"))


def _seen(row: Mapping[str, Any], rule: visual_input.ResizeRule | None) -> Seen:
    sizes = row.get("image_sizes")
    pixels, by = (tuple((int(w), int(h)) for w, h in sizes), "reported") if sizes else (None, "unknown")
    tokens = row.get("image_tokens")
    if pixels is None and rule is not None and row["images"]:
        originals = [_picture(name) for name in row["images"]]
        if all(originals):
            pixels, by = tuple(rule.size(*size) for size in originals if size), "by the processor's rule"
    return Seen(
        prompt_tokens=row.get("prompt_tokens"),
        prompt_digest=row.get("prompt_digest"),
        visual_tokens=tokens,
        pixels=pixels,
        tokens_by="counted in the prompt" if tokens is not None else "unknown",
        pixels_by=by if pixels is None or rule is None else _confirmed(pixels, tokens, rule, by),
    )


@functools.lru_cache(maxsize=4096)
def _picture(name: str) -> tuple[int, int] | None:
    return visual_input.picture_size(name)


def _confirmed(pixels: tuple[tuple[int, int], ...], tokens: int | None, rule: visual_input.ResizeRule, by: str) -> str:
    """Say whether the visual tokens agree with a computed size; a reported one needs no confirmation."""
    if by == "reported" or tokens is None:
        return by
    expected = sum(width * height for width, height in pixels) // rule.unit**2
    return f"{by}, confirmed by the tokens" if expected == tokens else f"{by}, REFUTED by the tokens"


def derived(sides: Sequence[Side]) -> list[Side]:
    """Fill in visual tokens that a backend doesn't tell: its prompt less the text that another one counted."""
    text: dict[Key, tuple[int, str]] = {}
    for side in sides:
        for key, seen in side.seen.items():
            if seen.visual_tokens is not None and seen.prompt_tokens is not None:
                text.setdefault(key, (seen.prompt_tokens - seen.visual_tokens, side.label))
    filled = []
    for side in sides:
        facts = {
            key: _with_text_of(seen, *text[key]) if seen.visual_tokens is None and key in text else seen
            for key, seen in side.seen.items()
        }
        filled.append(dataclasses.replace(side, seen=facts))
    return filled


def _with_text_of(seen: Seen, text_tokens: int, label: str) -> Seen:
    if seen.prompt_tokens is None:
        return seen
    visual = seen.prompt_tokens - text_tokens
    return Seen(
        seen.prompt_tokens, seen.prompt_digest, visual, seen.pixels, f"prompt less the text of {label}", seen.pixels_by
    )
