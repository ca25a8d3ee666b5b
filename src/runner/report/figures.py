"""Formats figures with their unit and a suitable number of digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.base.terminal_table import MISSING
from runner.report.texts import Texts

if TYPE_CHECKING:
    from metrics.paired import Paired

# Shares, which are shown in percent. CER and WER are included, although they may exceed 1.
_PERCENT = ("quality/exact_match", "quality/cer", "quality/wer", "quality/anls", "quality/abstention", "quality/kie_",
            "samples_share", "confidence/", "harness/overhead_share", "cache/", "goodput/share",
            "load/late_share", "load/held_share", "drift/spread", "drift/at_", "wait/share")  # fmt: skip


def is_percent(name: str) -> bool:
    """Tell whether a metric is a share that is shown in percent."""
    return name.startswith(_PERCENT)


def figure(name: str, value: float | None, texts: Texts, *, unit: bool = True) -> str:
    """Return a figure as text: 93.8 %, 31 ms, 0.42 GiB, 257 tokens/s; a dash if it was not measured."""
    if value is None:
        return MISSING
    text, sign = _written(name, value, texts)
    sign = texts.phrases.get(f"unit.{sign}", sign) if sign else ""
    return f"{text}\u202f{sign}" if unit and sign else text


def difference(name: str, paired: Paired, texts: Texts) -> str:
    """Return the difference of two candidates in a metric with its interval, if that is known: +1.5 [+0.2, +2.8] %."""
    scale, form, sign = (100, "+.1f", "\u202f%") if is_percent(name) else (1, "+.3f", "")
    value = texts.number(scale * paired.difference + 0.0, form)
    if paired.ci_low is None or paired.ci_high is None:
        return value + sign
    ends = [texts.number(scale * end + 0.0, form) for end in (paired.ci_low, paired.ci_high)]
    return f"{value} {texts.interval(*ends)}{sign}"


def _written(name: str, value: float, say: Texts) -> tuple[str, str]:
    if is_percent(name):
        return say.number(100 * value, ".1f"), "%"
    group, last = name.partition("/")[0], name.rpartition("_")[2]
    if last == "gib":
        return say.number(value, ".2f"), "GiB"
    if name.endswith("_per_s"):
        return _digits(value, say), ""
    if last == "s" and group in ("latency", "ttft", "tpot", "engine", "load", "drift", "wait"):
        return (say.number(1000 * value, ".0f"), "ms") if value < 1 else (say.number(value, ".2f"), "s")
    if group == "cost" or name.startswith("capacity/usd"):
        return _digits(value, say), "USD"
    if group == "energy":
        return _digits(value, say), "J"
    return _digits(value, say), ""


def _digits(value: float, say: Texts) -> str:
    """Return a number with about three significant digits; whole numbers stay whole, with their thousands apart."""
    size = abs(value)
    if size >= 10_000:
        return say.number(value, ",.0f")
    if value == int(value):
        return say.number(value, ".0f")
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return say.number(value, f".{digits}f")
