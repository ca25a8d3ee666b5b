"""The SGLang engine: its own OpenAI server, in an environment of its own.

Settings come as `EngineSpec.args`; `engine_args.<name>` becomes the flag `--<name>`:

    dtype batch_size threads prefix_cache mm_cache min_pixels max_pixels adapter config_override trust_remote_code
    engine_args.*
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from backends import sglang_failures
from backends.api import EngineSpec, EngineStats, Failure, Launch
from backends.engine_args import DTYPE_OF_QUANT, PREFIX, dtype, flags, is_true, settings, which_weights
from backends.prometheus import Metrics, mean, rate
from backends.spread import spread_over

_SETTINGS = (
    "dtype",
    "batch_size",
    "threads",
    "prefix_cache",
    "mm_cache",
    "min_pixels",
    "max_pixels",
    "adapter",
    "config_override",
    "trust_remote_code",
)
_IN_THE_CHECKPOINT = ("native", "awq", "gptq_int4", "gptq_int8", "w8a8", "w4a16", "fp8")
# Flags that are ours to give, and the key that decides them.
_OURS = {
    "host": "nothing: engines listen on 127.0.0.1",
    "port": "nothing: it is chosen at the start",
    "api_key": "nothing: it is made at the start and kept out of the command line",
    "admin_api_key": "nothing: nobody administers it",
    "config": "engine_args one by one",
    "model_path": "model.path",
    "served_model_name": "model.name",
    "dtype": "backend.dtype or quant",
    "quantization": "quant",
    "revision": "model.revision",
    "max_running_requests": "backend.batch_size",
    "disable_radix_cache": "backend.prefix_cache",
    "load_format": "model.weights",
    "json_model_override_args": "model.config_override",
    "mm_process_config": "model.min_pixels and model.max_pixels",
    "enable_lora": "model.adapter",
    "lora_paths": "model.adapter",
    "trust_remote_code": "model.trust_remote_code",
    "enable_metrics": "nothing: metrics are always on",
}
_MODEL, _ADAPTER = "model", "adapter"
# The share of the KV cache that is in use. `sglang:token_usage` is the same, rounded to hundredths (0.5.23,
# srt/managers/scheduler_components/pool_stats_observer.py:155), which is 0 for a short answer.
_USAGE = "sglang:full_token_usage"
_INTERVAL = "decode_log_interval"
_FACTS = {
    "quantization": re.compile(r"'quantization': '?(\w+)"),
    "attention": re.compile(r"'attention_backend': '(\w+)'"),
    "context_tokens": re.compile(r"context_len=(\d+)"),
    "kv_cache_tokens": re.compile(r"max_total_num_tokens=(\d+)"),
}

# The server's arguments as it writes them (srt/entrypoints/engine.py:311).
_SPREAD = {name: re.compile(rf"'{name}_size': (\d+)") for name in ("tp", "pp", "dp")}
_DP_WITHIN_TP = re.compile(r"'enable_dp_attention': True")


class SglangBackend:
    """Serves a checkpoint with SGLang."""

    name = "sglang"
    # SGLang drops the pixel limits of a request without a word (0.5.23, but for one model family), so they are fixed
    # when it starts.
    pixels_at_start = True

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of SGLang's server. Raise ValueError for a setting that it does not know."""
        chosen = settings(spec, _SETTINGS)
        _check_quant(spec)
        argv = ["python", "-m", "backends.sglang_server", "--model-path", spec.checkpoint, "--enable-metrics"]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--dtype", dtype(spec, chosen.get("dtype", ""))]
        argv += which_weights(spec)
        if "batch_size" in chosen:
            argv += ["--max-running-requests", chosen["batch_size"]]
        if "config_override" in chosen:
            argv += ["--json-model-override-args", chosen["config_override"]]
        limits = {name: int(chosen[name]) for name in ("min_pixels", "max_pixels") if name in chosen}
        if limits:
            argv += ["--mm-process-config", json.dumps({"image": limits})]
        if is_true("model.trust_remote_code", chosen.get("trust_remote_code", "")):
            argv.append("--trust-remote-code")
        # Off unless asked for: a second question about the same picture must not be answered from the first.
        if not is_true("backend.prefix_cache", chosen.get("prefix_cache", "")):
            argv.append("--disable-radix-cache")
        argv += ["--served-model-name", _MODEL]
        asked = _MODEL
        if "adapter" in chosen:
            # Strict: what an adapter lacks, or has in excess, would otherwise be left out without a word.
            argv += ["--lora-paths", f"{_ADAPTER}={chosen['adapter']}", "--lora-strict-loading"]
            asked = f"{_MODEL}:{_ADAPTER}"  # the bare name would be answered without the adapter
        # Gauges are brought up to date each 40th step of decoding unless told otherwise (metrics_reporter.py:934): an
        # answer of fewer tokens would never be seen in them.
        if not spec.arg(f"{PREFIX}{_INTERVAL}", ""):
            argv += ["--decode-log-interval", "1"]
        argv += flags(spec, _OURS)
        return Launch(
            tuple(argv),
            variables=_variables(chosen),
            model=asked,
            statistics_path="/metrics",
            peak_gauge=_USAGE,
            token_ids=False,
        )

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        return sglang_failures.translate(log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Read SGLang's own account from /metrics. It does not tell what activations took, so the need is unknown."""
        then, now = Metrics(before), Metrics(after)
        gpus = _gpus(log)
        reserved, peak = _gib(now, "kv_cache", gpus), now.highest("runner_peak")
        facts = {name: match[1] for name, pattern in _FACTS.items() if (match := pattern.search(log))}
        if (queue := mean(then, now, "sglang:queue_time_seconds")) is not None:
            facts["mean_queue_s"] = f"{queue:.6f}"
        return EngineStats(
            weights_gib=_gib(now, "weight", gpus),
            kv_reserved_gib=reserved,
            kv_used_gib=peak * reserved if reserved and peak is not None else None,
            graphs_gib=_gib(now, "graph", gpus),
            prefix_hit_rate=rate(then, now, "sglang:cached_tokens", "sglang:prompt_tokens"),
            facts=facts | ({"gpus": str(gpus)} if gpus > 1 else {}),
            notes=spread_over(gpus),
        )


def _variables(chosen: Mapping[str, str]) -> dict[str, str]:
    variables = {}
    if not is_true("backend.mm_cache", chosen.get("mm_cache", "")):
        variables["SGLANG_VLM_CACHE_SIZE_MB"] = "0"
    if "threads" in chosen:
        variables["OMP_NUM_THREADS"] = chosen["threads"]
    return variables


def _gib(metrics: Metrics, part: str, gpus: int) -> float | None:
    """Return what a part took on all GPUs, in GiB.

    SGLang takes it from free memory before and after, so a small part may come out below 0. Of each group of tensor
    parallelism one rank reports (0.5.23, srt/observability/metrics_collector.py:1362). Graphs have a sample for each
    phase, prefill and decode (:1787): their sum.
    """
    ranks: dict[tuple[tuple[str, str], ...], float] = {}
    for labels, value in metrics.samples(f"sglang:{part}_memory_usage_gb"):
        rank = tuple(sorted((name, text) for name, text in labels.items() if name != "phase"))
        ranks[rank] = ranks.get(rank, 0.0) + (max(0.0, value) if part == "graph" else value)
    total = sum(ranks.values())
    return total * max(gpus, len(ranks)) / len(ranks) if total > 0 else None


def _gpus(log: str) -> int:
    """Return over how many GPUs the engine is spread; 1 where the log doesn't say."""
    sizes = {name: int(match[1]) for name, pattern in _SPREAD.items() if (match := pattern.search(log))}
    inside = _DP_WITHIN_TP.search(log) is not None  # its groups share the GPUs of tensor parallelism
    return math.prod(size for name, size in sizes.items() if not (inside and name == "dp"))


def _check_quant(spec: EngineSpec) -> None:
    if spec.quant not in (*_IN_THE_CHECKPOINT, *DTYPE_OF_QUANT):
        known = ", ".join((*_IN_THE_CHECKPOINT, *DTYPE_OF_QUANT))
        raise ValueError(f"quant={spec.quant}: backend sglang knows {known}")
