"""From answers and measurements to the figures of speed, memory and length that a job is compared by.

What was not measured is absent: no figure here is ever 0 for "unknown".
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backends import chunks
from runner.asking.questions import Generated
from runner.jobs.costs import Costs

REMARKED = 5  # pictures that a note names, the rest counted
STATS = {
    "memory/gpu_peak_gib": "gpu_peak_gib",
    "memory/cpu_peak_gib": "cpu_peak_gib",
    "memory/weights_gib": "weights_gib",
    "memory/kv_reserved_gib": "kv_reserved_gib",
    "memory/kv_used_gib": "kv_used_gib",
    "memory/activation_gib": "activation_gib",
    "memory/graphs_gib": "graphs_gib",
    "memory/needed_gib": "needed_gib",
    "cache/prefix_hit_rate": "prefix_hit_rate",
    "cache/mm_hit_rate": "mm_hit_rate",
}


# What is told of answers with a remark of `Generation.remarks`.
REMARKS = {
    "refusal": "are refusals: the model declined, and its words are scored (samples/refused)",
    "cut_before_answer": "were cut by sampling.max_tokens while the model was thinking, so there is none: raise it",
    "reasoning_in_content": "held reasoning before the answer (<think>): it is kept as `reasoning`, and not scored",
    "tool_calls": "called a tool beside their text: only the text is scored",
    "other_choices": "came with further choices: only the first (index 0) is read",
    "end_of_turn": "end with a token such as <|im_end|>, which the server left in the text: it is scored with it",
    "no_finish_reason": "came without a finish_reason: whether they were cut off is not known",
    "repeated_messages": "came as messages of which each repeats all before: the last one is read",
    "not_streamed": "were not streamed: they have no time to the first token and none per token",
}


class Seen:
    """What the figures need of a job's answers, taken from one row after the other: all rows may not fit into memory.

    `lengths` are in characters, `latencies`, `ttft` and `tpot` in seconds, `rates` in characters per second, each of
    the answers that have it; failures count in `total` alone. `tpot` is undefined for answers that came as one piece.
    `remarks` counts `Generation.remarks`; `refused` are answers that decline in the endpoint's own words for it, and
    questions that its content filter withheld the answer of. `reasoning_tokens` and `answer_ttft` (seconds to the first
    piece of the answer itself) are of the answers of which they are known.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Read the rows of an answers.jsonl."""
        self.total = self.asked_again = self.lowered = self.truncated = self.refused = self.filtered = 0
        self.remarks: Counter[str] = Counter()
        self.costs = Costs()
        self.lengths, self.latencies, self.ttft, self.tpot, self.rates = (array("d") for _ in range(5))
        self.reasoning_tokens, self.answer_ttft = array("d"), array("d")
        self.seen_thinking = False
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of an answers.jsonl."""
        self.total += 1
        self.costs.add(row)
        self.asked_again += row["attempts"] > 1
        self.lowered += row.get("lowered_max_pixels") is not None
        # Old stores have no remarks.
        remarks = row.get("remarks") or ()
        self.remarks.update(remarks)
        self.truncated += row.get("finish_reason") == "length" or "cut_before_answer" in remarks
        filtered = row["error"] is not None and row["error"]["kind"] == "content_filter"
        self.filtered += filtered
        self.refused += filtered or "refusal" in remarks
        if row["error"] is None:
            self._answered(row)

    def _answered(self, row: Mapping[str, Any]) -> None:
        length, timing, tokens = len(row["text"]), row["timing"], row["completion_tokens"]
        self.lengths.append(length)
        if row.get("reasoning_tokens") is not None:
            self.reasoning_tokens.append(row["reasoning_tokens"])
        self.seen_thinking |= bool(row.get("reasoning"))
        if not timing:
            return
        latency, ttft = timing["latency_s"], timing["ttft_s"]
        self.latencies.append(latency)
        if latency > 0:
            self.rates.append(length / latency)
        if ttft is not None:
            self.ttft.append(ttft)
            if timing.get("answer_ttft_s") is not None:
                self.answer_ttft.append(timing["answer_ttft_s"])
            after = timing.get("tokens_after_first")
            if after is None and tokens:  # stored before it was kept
                after = tokens - 1
            if after and after > 0:
                self.tpot.append((latency - ttft) / after)


def figures(seen: Seen, measured: Mapping[str, Any] | None, *, timed: bool) -> dict[str, float]:
    """Return the metrics of one job's answers. `timed=False` leaves out all that depends on the conditions.

    Latencies and times to the first token are in seconds, per answer that came; throughput is over the wall time in
    which the job's answers were asked; tokens per second of one answer are its `tpot`, seconds per output token after
    the first piece of text (`Timing.tokens_after_first`).
    """
    values = {"text/length_mean": _mean(seen.lengths)} if seen.lengths else {}
    if seen.reasoning_tokens:
        values["text/reasoning_tokens"] = _mean(seen.reasoning_tokens)
    if not timed:
        return values
    values |= _latencies(seen)
    if measured:
        values |= _throughput(measured)
        stats = measured["stats"]
        values |= {name: stats[key] for name, key in STATS.items() if stats.get(key) is not None}
        if stats.get("energy_joules") is not None and measured["asked"]:
            values["energy/joules_per_request"] = stats["energy_joules"] / measured["asked"]
    return {name: float(value) for name, value in values.items()}


def _latencies(seen: Seen) -> dict[str, float]:
    """Return the distribution of latency, time to first token, and time per output token."""
    values: dict[str, float] = {}
    if seen.latencies:
        values["latency/mean_s"] = _mean(seen.latencies)
        values |= {f"latency/p{p}_s": float(np.percentile(seen.latencies, p)) for p in (50, 95, 99)}
    if seen.ttft:
        values |= {f"ttft/p{p}_s": float(np.percentile(seen.ttft, p)) for p in (50, 95)}
    if seen.seen_thinking and seen.answer_ttft:  # otherwise it is the first token
        values |= {f"ttft/answer_p{p}_s": float(np.percentile(seen.answer_ttft, p)) for p in (50, 95)}
    if seen.tpot:
        values["tpot/p50_s"] = float(np.percentile(seen.tpot, 50))
    if seen.rates:
        values["text/chars_per_s"] = _mean(seen.rates)
    return values


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same to the last bit in whatever order the answers came."""
    return math.fsum(values) / len(values)


def _throughput(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return rates of what was answered over the wall time of the load, and the harness's own share of its time."""
    wall = measured["wall_s"]
    if not wall or not measured["answered"]:
        return {}
    values = {
        "throughput/requests_per_s": measured["answered"] / wall,
        "throughput/chars_per_s": measured["chars"] / wall,
    }
    if measured["output_tokens"] is not None:
        values["throughput/output_tokens_per_s"] = measured["output_tokens"] / wall
    if measured["slots_s"]:
        values["harness/overhead_share"] = max(0.0, 1.0 - measured["engine_s"] / measured["slots_s"])
    return values


def remarks(generated: Generated) -> Iterator[str]:
    """Yield what is odd about pictures that were shown all the same: one line for each kind, with the first names."""
    for what, names in generated.remarks.items():
        first = ", ".join(itertools.islice(names, REMARKED))
        more = f" and {len(names) - REMARKED} more" if len(names) > REMARKED else ""
        yield f"picture {first}{more}: {what}"


def not_sent(seen: Seen) -> list[str]:
    """Return the settings that an endpoint refused, so that they were left out of some requests."""
    return sorted(word.partition("=")[2] for word in seen.remarks if word.startswith("not_sent="))


def _adaptations(seen: Seen) -> Iterator[str]:
    """Yield how requests were changed because the endpoint refused parts of them."""
    for name in not_sent(seen):
        what = f"{seen.remarks[f'not_sent={name}']} answers were made without {name}, which the endpoint refuses"
        then = "so it may not count tokens" if name == "stream_options" else "its own value holds"
        yield f"{what}: {then} (++model.request.{name}=null says so beforehand)"
    for word, count in sorted(seen.remarks.items()):
        if word.startswith("sent_as="):
            name, _, other = word.partition("=")[2].partition(":")
            yield f"{name} was sent as {other} for {count} answers, since the endpoint refuses its own name"


def notes(generated: Generated, seen: Seen) -> list[str]:
    """Return what a reader of the figures must know: what they leave out, and what the engine labelled."""
    noted = [*generated.notes, *remarks(generated)]
    if failed := len(generated.failures):
        first = next(iter(generated.failures.values())).error
        noted.append(f"{failed} of {seen.total} answers failed, the first: {first.message if first else ''}"[:300])
    if seen.asked_again:
        noted.append(f"{seen.asked_again} answers took more than one attempt; their latency is the last attempt's")
    if seen.filtered:
        noted.append(f"{seen.filtered} of {seen.total} questions were refused by the endpoint's content filter")
    noted += [f"{seen.remarks[word]} answers {what}" for word, what in REMARKS.items() if seen.remarks[word]]
    noted += _adaptations(seen)
    for word, count in sorted(seen.remarks.items()):
        raw = word.removeprefix("finish_reason=")
        if raw != word and chunks.meaning(raw) is None:
            noted.append(
                f"{count} answers ended with finish_reason {raw!r}, which is not known here: were they cut off?"
            )
    if seen.lowered:
        noted.append(
            f"{seen.lowered} answers were read at fewer pixels, memory having run out (backend.oom_policy="
            "reduce_pixels): lowered_max_pixels in answers.jsonl says which"
        )
    if not generated.timed:
        return [*noted, "answers were reused from other conditions: no latency, throughput or memory is reported"]
    if generated.measured is None:
        return [*noted, "nothing was asked anew and no measurement is stored: no throughput or memory is reported"]
    asked, needed = generated.measured["asked"], len(set(generated.keys.values()))
    if asked < needed:
        noted.append(f"throughput and memory were measured over {asked} of {needed} answers")
    return [*noted, *generated.measured["stats"].get("notes", ())]
