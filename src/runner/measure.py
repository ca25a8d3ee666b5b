"""From answers and measurements to the figures of speed, memory and length that a job is compared by.

What was not measured is absent: no figure here is ever 0 for "unknown".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runner.questions import Generated

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


def figures(rows: Iterable[Mapping[str, Any]], measured: Mapping[str, Any] | None, *, timed: bool) -> dict[str, float]:
    """Return the metrics of one job's answers. `timed=False` leaves out all that depends on the conditions.

    Latencies and times to the first token are in seconds, per answer that came; throughput is over the wall time in
    which the job's answers were asked; tokens per second of one answer are its `tpot`, seconds per output token after
    the first.
    """
    answered = [row for row in rows if row["error"] is None]
    values = _lengths(answered)
    if not timed:
        return values
    values |= _latencies(answered)
    if measured:
        values |= _throughput(measured)
        stats = measured["stats"]
        values |= {name: stats[key] for name, key in STATS.items() if stats.get(key) is not None}
        if stats.get("energy_joules") is not None and measured["asked"]:
            values["energy/joules_per_request"] = stats["energy_joules"] / measured["asked"]
    return {name: float(value) for name, value in values.items()}


def _lengths(answered: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    if not answered:
        return {}
    return {"text/length_mean": float(np.mean([len(row["text"]) for row in answered]))}


def _latencies(answered: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the distribution of latency, time to first token, and time per output token."""
    timed = [row for row in answered if row["timing"]]
    if not timed:
        return {}
    latency = np.array([row["timing"]["latency_s"] for row in timed])
    values = {"latency/mean_s": float(latency.mean())}
    values |= {f"latency/p{p}_s": float(np.percentile(latency, p)) for p in (50, 95, 99)}
    ttft = [row["timing"]["ttft_s"] for row in timed if row["timing"]["ttft_s"] is not None]
    if ttft:
        values |= {f"ttft/p{p}_s": float(np.percentile(ttft, p)) for p in (50, 95)}
    tpot = [value for row in timed if (value := _tpot(row)) is not None]
    if tpot:
        values["tpot/p50_s"] = float(np.percentile(tpot, 50))
    rates = [len(row["text"]) / row["timing"]["latency_s"] for row in timed if row["timing"]["latency_s"] > 0]
    if rates:
        values["text/chars_per_s"] = float(np.mean(rates))
    return values


def _tpot(row: Mapping[str, Any]) -> float | None:
    """Seconds per output token after the first; undefined for answers of one token."""
    timing, tokens = row["timing"], row["completion_tokens"]
    if timing["ttft_s"] is None or not tokens or tokens < 2:
        return None
    return float((timing["latency_s"] - timing["ttft_s"]) / (tokens - 1))


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


def notes(generated: Generated, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a reader of the figures must know: what they leave out, and what the engine labelled."""
    noted = list(generated.notes)
    if failed := len(generated.failures):
        first = next(iter(generated.failures.values())).error
        noted.append(f"{failed} of {len(rows)} answers failed, the first: {first.message if first else ''}"[:300])
    if again := sum(row["attempts"] > 1 for row in rows):
        noted.append(f"{again} answers took more than one attempt; their latency is the last attempt's")
    if lowered := sum(row.get("lowered_max_pixels") is not None for row in rows):
        noted.append(
            f"{lowered} answers were read at fewer pixels, memory having run out (backend.oom_policy=reduce_pixels): "
            "lowered_max_pixels in answers.jsonl says which"
        )
    if not generated.timed:
        return [*noted, "answers were reused from other conditions: no latency, throughput or memory is reported"]
    if generated.measured is None:
        return [*noted, "nothing was asked anew and no measurement is stored: no throughput or memory is reported"]
    asked, needed = generated.measured["asked"], len(set(generated.keys.values()))
    if asked < needed:
        noted.append(f"throughput and memory were measured over {asked} of {needed} answers")
    return [*noted, *generated.measured["stats"].get("notes", ())]
