"""From answers and measurements to the figures of speed, memory and length that a job is compared by.

What was not measured is absent: no figure here is ever 0 for "unknown".
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runner.asking.waits import CAUSES
from runner.jobs.costs import Costs
from runner.jobs.rows import is_truncated

AT_ONCE_S = 0.0001  # per token: no engine writes 10,000 tokens a second of one answer, so they were gathered on the way
AT_ONCE_TOKENS = 3  # behind the first: fewer may be one step of an engine that predicts several tokens at a time
LATE_S = 0.01  # a request of an open load that leaves later than this counts as late
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


class Seen:
    """What the figures need of a job's answers, taken from one row after the other: all rows may not fit into memory.

    `lengths` are in characters, `latencies`, `ttft` and `tpot` in seconds, `rates` in characters per second, each of
    the answers that have it; failures count in `total` alone. `tpot` is undefined for answers that came as one piece.
    In an open load the times of answers that were due before it had settled are left out, and counted in `unsettled`;
    `late` are the seconds that its requests waited on our side. `slo` are limits such as {"ttft/p95_s": 1}: `good`
    counts the timed answers that keep all of them, `judged` the questions that could have.
    `empty` are empty answers of which no remark says why. `remarks` counts `Generation.remarks`; `refused` are
    answers that decline in the endpoint's own words for it, and questions that its content filter withheld the
    answer of. `reasoning_tokens` and `answer_ttft` (seconds to the first piece of the answer itself) are of the
    answers of which they are known. `streamed` are answers of several tokens, of which those `at_once` were gathered.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], slo: Mapping[str, float] | None = None) -> None:
        """Read the rows of an answers.jsonl."""
        self.slo = dict(slo or {})
        self.unsettled = self.good = self.judged = self.unknown = 0
        self.streamed = self.at_once = 0
        self.late = array("d")
        self.total = self.asked_again = self.lowered = self.truncated = self.refused = self.filtered = self.empty = 0
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
        self.truncated += is_truncated(row)
        told = {"cut_before_answer", "only_reasoning"} & set(remarks)
        self.empty += row["error"] is None and not row["text"].strip() and not told
        filtered = row["error"] is not None and row["error"]["kind"] == "content_filter"
        self.filtered += filtered
        self.refused += filtered or "refusal" in remarks
        timing = row["timing"] or {}
        settled = timing.get("settled") is not False
        self.unsettled += not settled
        if settled and timing.get("late_s") is not None:
            self.late.append(timing["late_s"])
        if self.slo and settled:
            self._judge(row)
        if row["error"] is None:
            self._answered(row, timed=settled)

    def _judge(self, row: Mapping[str, Any]) -> None:
        """Count a question as good if its answer came within all limits of the objective.

        A failure is not good, nor is an answer that was cut within its thinking.
        """
        self.judged += 1
        if (waits := waited(row)) is None:
            return
        times = {name: waits[limited(name)] for name in self.slo}
        if any(time is None for time in times.values()):
            self.judged -= 1
            self.unknown += 1
            return
        self.good += all(time <= self.slo[name] for name, time in times.items() if time is not None)

    def _answered(self, row: Mapping[str, Any], *, timed: bool) -> None:
        length, timing = len(row["text"]), row["timing"]
        self.lengths.append(length)
        if row.get("reasoning_tokens") is not None:
            self.reasoning_tokens.append(row["reasoning_tokens"])
        self.seen_thinking |= bool(row.get("reasoning"))
        if not timing or not timed:
            return
        latency, ttft = timing["latency_s"], timing["ttft_s"]
        self.latencies.append(latency)
        if latency > 0:
            self.rates.append(length / latency)
        if ttft is not None:
            self.ttft.append(ttft)
            if timing.get("answer_ttft_s") is not None:
                self.answer_ttft.append(timing["answer_ttft_s"])
        if (tpot := _per_token(row)) is not None:
            self.tpot.append(tpot)
            if (timing.get("tokens_after_first") or 0) >= AT_ONCE_TOKENS:
                self.streamed += 1
                self.at_once += tpot < AT_ONCE_S


def waited(row: Mapping[str, Any]) -> dict[str, float | None] | None:
    """Return what a user waited for an answer, in seconds by what a limit limits; None: it failed, or is none.

    A time that is not known is None. An answer that was cut within its thinking is none.
    """
    timing, remarks = row["timing"], row.get("remarks") or ()
    if row["error"] is not None or not timing or "cut_before_answer" in remarks:
        return None
    waits = {
        "latency": timing["latency_s"],
        "ttft": timing["ttft_s"],
        "ttft/answer": timing.get("answer_ttft_s"),
        "tpot": _per_token(row),
    }
    if not row["text"] and "not_streamed" not in remarks:  # no first piece is waited for beyond the end
        waits |= {"ttft": timing["latency_s"], "ttft/answer": timing["latency_s"], "tpot": 0.0}
    elif waits["tpot"] is None and timing["ttft_s"] is not None and timing.get("tokens_after_first") == 0:
        waits["tpot"] = 0.0  # an answer of one piece keeps nobody waiting between its pieces
    return waits


def limited(name: str) -> str:
    """Return which time a limit of an objective is about: "ttft/p95_s" and "ttft/answer_p95_s" limit different ones."""
    return "ttft/answer" if name.startswith("ttft/answer_") else name.partition("/")[0]


def _per_token(row: Mapping[str, Any]) -> float | None:
    """Return the seconds per output token after the first piece; None for an answer that came as one piece."""
    timing, tokens = row["timing"], row["completion_tokens"]
    after = timing.get("tokens_after_first")
    if after is None and tokens:  # stored before it was kept
        after = tokens - 1
    if timing["ttft_s"] is None or not after or after <= 0:
        return None
    return float((timing["latency_s"] - timing["ttft_s"]) / after)


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
    values |= _latencies(seen) | _goodput(seen, measured)
    if measured:
        values |= _throughput(measured)
        values |= _load(measured) | waits(measured)
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
    if seen.late:
        values["load/late_p99_s"] = float(np.percentile(seen.late, 99))
        values["load/late_share"] = sum(late > LATE_S for late in seen.late) / len(seen.late)
    if seen.rates:
        values["text/chars_per_s"] = _mean(seen.rates)
    return values


def _goodput(seen: Seen, measured: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the share of questions that were answered within the objective, and how many that were a second.

    The rate is this share of the questions that were asked a second. Nothing is returned if a time that the objective
    limits is not known of some answers.
    """
    if not seen.judged or seen.unknown:
        return {}
    share = seen.good / seen.judged
    values = {"goodput/share": share}
    if measured and measured["wall_s"]:
        values["goodput/requests_per_s"] = share * measured.get("due", measured["asked"]) / measured["wall_s"]
    return values


def _load(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return what an open load asked of the engine; nothing for a closed one."""
    if "due" not in measured or not measured["wall_s"]:
        return {}
    return {
        "load/offered_per_s": measured["due"] / measured["wall_s"],
        "load/in_flight_mean": measured["in_flight_s"] / measured["wall_s"],
        "load/held_share": measured["held"] / measured["asked"],
    }


def waits(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return how long requests waited for what, in seconds summed over requests, and the share of their time.

    That time is the one in which slots (of an open load: requests) had work or waited. Nothing is returned of what was
    measured before waits were counted.
    """
    seconds = {f"wait/{cause}_s": measured.get(f"{cause}_wait_s") for cause in CAUSES}
    known = {name: value for name, value in seconds.items() if value is not None}
    if len(known) < len(seconds):
        return {}
    whole = measured["slots_s"] + sum(known.values())
    return known | ({"wait/share": sum(known.values()) / whole} if whole else {})


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
