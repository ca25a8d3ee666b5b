"""Speed by length of the input: what the answers of one job say about prefill and decoding."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.asking.largest_input import is_limit_kind
from runner.jobs.folder import JobFolder

_AT_ONCE = 0.01  # of the latency: text that comes within it after the first came with it


@dataclass(frozen=True, slots=True)
class Speed:
    """Medians over the answers of one job; None: not measured.

    `prefill_s` and the rate of decoding are the engine's own account where it gives one: per answer (`hf`) or as a mean
    over the job (`vllm`). Else they are the client's: the time to the first token, which includes queueing and what is
    done to the picture, and the rest. `prefill_by` says which. Rates are tokens per second.
    """

    answered: int
    prompt_tokens: float | None
    visual_tokens: float | None
    output_tokens: float | None
    latency_s: float | None
    prefill_s: float | None
    prefill_by: str
    decode_tokens_per_s: float | None
    limit: str | None

    @property
    def prefill_tokens_per_s(self) -> float | None:
        """Return the prompt's tokens per second of prefill."""
        return self.prompt_tokens / self.prefill_s if self.prompt_tokens and self.prefill_s else None


def speed(result: JobFolder) -> Speed:
    """Read a job's answers.jsonl."""
    rows = list(result.rows())
    answered = [row for row in rows if row["error"] is None]
    facts = result.environment.get("engine") or {}
    prefill, by = _first_known(
        (_median(_timing(row, "prefill_s") for row in answered), "engine"),
        (_number(facts.get("mean_prefill_s")), "engine, mean"),
        (_median(_timing(row, "ttft_s") for row in answered), "time to first token"),
    )
    output = _median(row["completion_tokens"] for row in answered)
    mean_decode = _number(facts.get("mean_decode_s"))
    rate, _ = _first_known(
        (_median(_rate(_tokens_after_first(row, by_piece=False), _timing(row, "decode_s")) for row in answered), ""),
        ((output - 1) / mean_decode if output and output > 1 and mean_decode else None, ""),
        (_median(_rate(_tokens_after_first(row, by_piece=True), _after_first_token(row)) for row in answered), ""),
    )
    return Speed(
        answered=len(answered),
        prompt_tokens=_median(row["prompt_tokens"] for row in answered),
        visual_tokens=_median(row.get("image_tokens") for row in answered),
        output_tokens=output,
        latency_s=_median(_timing(row, "latency_s") for row in answered),
        prefill_s=prefill,
        prefill_by=by,
        decode_tokens_per_s=rate,
        limit=_limit(rows),
    )


def _timing(row: Mapping[str, Any], name: str) -> float | None:
    value = (row["timing"] or {}).get(name)
    return None if value is None else float(value)


def _first_known(*values: tuple[float | None, str]) -> tuple[float | None, str]:
    return next(((value, by) for value, by in values if value is not None), (None, ""))


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _rate(tokens: float | None, seconds: float | None) -> float | None:
    """Return tokens per second; None where none came in these seconds."""
    return tokens / seconds if tokens and tokens > 0 and seconds else None


def _tokens_after_first(row: Mapping[str, Any], *, by_piece: bool) -> float | None:
    """Return how many tokens came after the first token, or `by_piece` after the first piece of text."""
    tokens, after = row["completion_tokens"], _timing(row, "tokens_after_first")
    if by_piece and after is not None:
        return after
    return tokens - 1 if tokens else None


def _after_first_token(row: Mapping[str, Any]) -> float | None:
    """Return the client's seconds after the first piece of text; None where the whole answer came as one piece."""
    latency, first = _timing(row, "latency_s"), _timing(row, "ttft_s")
    if latency is None or first is None or latency - first < _AT_ONCE * latency:
        return None
    return latency - first


def _limit(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why an input did not fit, None where all did."""
    kinds = [row["error"]["kind"] for row in rows if row["error"] and is_limit_kind(row["error"]["kind"])]
    return kinds[0].replace("_", " ") if kinds else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
