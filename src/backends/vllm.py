"""The vLLM engine: its own OpenAI server, `vllm serve`, in an environment of its own.

Settings come as `EngineSpec.args`; `engine_args.<name>` becomes the flag `--<name>`:

    dtype batch_size threads prefix_cache mm_cache adapter adapter_rank config_override quantization trust_remote_code
    engine_args.*
"""

from __future__ import annotations

import json
import math
import re

from backends import vllm_failures
from backends.api import EngineSpec, EngineStats, Failure, Launch
from backends.engine_args import DTYPE_OF_QUANT, PREFIX, dtype, flags, is_true, settings, which_weights
from backends.prometheus import Metrics, mean, rate
from backends.spread import spread_over, times

_GIB = 2**30
_SETTINGS = (
    "dtype",
    "batch_size",
    "threads",
    "prefix_cache",
    "mm_cache",
    "adapter",
    "adapter_rank",
    "config_override",
    "quantization",
    "trust_remote_code",
)
_IN_THE_CHECKPOINT = ("native", "awq", "gptq_int4", "gptq_int8", "w8a8", "w4a16", "fp8")
_MADE_WHILE_LOADING = {"bnb_nf4": "bitsandbytes"}
# Flags that are ours to give, and the key that decides them.
_OURS = {
    "host": "nothing: engines listen on 127.0.0.1",
    "port": "nothing: it is chosen at the start",
    "api_key": "nothing: it is made at the start and kept out of the command line",
    "config": "engine_args one by one",
    "model": "model.path",
    "served_model_name": "model.name",
    "dtype": "backend.dtype or quant",
    "quantization": "quant",
    "revision": "model.revision",
    "max_num_seqs": "backend.batch_size",
    "enable_prefix_caching": "backend.prefix_cache",
    "mm_processor_cache_gb": "backend.mm_cache",
    "load_format": "model.weights",
    "hf_overrides": "model.config_override",
    "enable_lora": "model.adapter",
    "lora_modules": "model.adapter",
    "max_lora_rank": "model.adapter, whose rank is read from its folder",
    "trust_remote_code": "model.trust_remote_code",
}
_TRUST = "trust_request_mm_kwargs"
_CONTEXT = "max_model_len"
_MM_KWARGS = "mm_processor_kwargs"
# The ranks for which vLLM's --max-lora-rank can be set (vllm.config.lora.MaxLoRARanks); its default is 16.
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)

_USAGE = "vllm:kv_cache_usage_perc"
_TIMES = {
    "mean_queue_s": "vllm:request_queue_time_seconds",
    "mean_prefill_s": "vllm:request_prefill_time_seconds",
    "mean_decode_s": "vllm:request_decode_time_seconds",
}
_FACTS = {
    "version.vllm": re.compile(r"Initializing a V1 LLM engine \(v([^)]+)\)"),
    "dtype": re.compile(r"Initializing a V1 LLM engine[^\n]*?\bdtype=(?:torch\.)?(\w+)"),
    "quantization": re.compile(r"Initializing a V1 LLM engine[^\n]*?\bquantization=([\w.-]+)"),
    "enforce_eager": re.compile(r"Initializing a V1 LLM engine[^\n]*?\benforce_eager=(\w+)"),
    "context_tokens": re.compile(r"Initializing a V1 LLM engine[^\n]*?\bmax_seq_len=(\d+)"),
    # 0.33: Using FLASH_ATTN attention backend; 0.11: Using Flash Attention backend on V1 engine.
    "attention": re.compile(
        r"Using (?:AttentionBackendEnum\.)?([A-Z][A-Z0-9_]+|[\w ]+(?= backend on V1)) (?:attention )?backend"
    ),
    "kv_cache_tokens": re.compile(r"KV cache size: ([\d,]+) tokens"),
    "flashinfer": re.compile(r"FlashInfer kernels are (disabled)"),  # without nvcc: other kernels than its image's
}
# What `--max-model-len auto` came to, where that is less than the model's own.
_FITTED = re.compile(r"Auto-fit max_model_len: reduced from \d+ to (\d+) to fit")
# Over how many GPUs the engine is spread (vllm.config.VllmConfig.__str__; 0.33, config/vllm.py:2823).
_SPREAD = {
    kind: re.compile(rf"Initializing a V1 LLM engine[^\n]*?\b{kind}_parallel_size=(\d+)")
    for kind in ("tensor", "pipeline", "data")
}
_LOADED = re.compile(r"Model loading took ([\d.]+) GiB")
_AVAILABLE = re.compile(r"Available KV cache memory: ([\d.]+) GiB")
# What graphs took. The V2 model runner, 0.33's default, captures twice, first to estimate and then for good, and
# writes the same line both times (v1/worker/gpu/model_runner.py:1164, from profile_cudagraph_memory and capture_model).
_GRAPHS = re.compile(r"Graph capturing finished in [\d.]+ secs, took (-?[\d.]+) GiB")
# The estimate, as the V1 runner writes it (v1/worker/gpu_model_runner.py:6410), and the worker above both runners
# (v1/worker/gpu_worker.py:1003).
_GRAPHS_ESTIMATED = re.compile(
    r"Estimated CUDA graph memory: ([\d.]+) GiB"
    r"|CUDA graph pool memory: -?[\d.]+ GiB \(actual\), ([\d.]+) GiB \(estimated\)"
)
# The estimate is counted to the peak of activations unless VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0
# (v1/worker/gpu_worker.py:720, :749); then the worker writes `is disabled` in place of this.
_ESTIMATE_IS_COUNTED = "CUDA graph memory profiling is enabled"
# 0.11, which env=minicpm_v_2_6 has, writes weights and non-torch apart, and only with VLLM_LOGGING_LEVEL=DEBUG
# (v1/worker/gpu_worker.py:379).
_USED_AT_START = re.compile(
    r"Actual usage is ([\d.]+) GiB for (?:consumed memory \(weights \+ non-torch\)|weight), "
    r"([\d.]+) GiB for peak activation(?:, ([\d.]+) GiB for non-torch memory)?"
    r"(?:, and (-?[\d.]+) GiB for CUDAGraph memory)?"
)


class VllmBackend:
    """Serves a checkpoint with vLLM."""

    name = "vllm"
    needs_adapter_rank = True  # it reserves memory for a LoRA rank that it has to be told
    reserves_pixels = True  # and for the largest picture

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of `vllm serve`. Raise ValueError for a setting that it does not know."""
        chosen = settings(spec, _SETTINGS)
        argv = ["python", "-m", "vllm.entrypoints.cli.main", "serve", spec.checkpoint]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--dtype", dtype(spec, chosen.get("dtype", ""))]
        argv += which_weights(spec)
        if method := _quantization(spec, chosen.get("quantization", "none")):
            argv += ["--quantization", method]
        if "batch_size" in chosen:
            argv += ["--max-num-seqs", chosen["batch_size"]]
        if "config_override" in chosen:
            argv += ["--hf-overrides", chosen["config_override"]]
        if is_true("model.trust_remote_code", chosen.get("trust_remote_code", "")):
            argv.append("--trust-remote-code")
        # Off unless asked for: a second question about the same picture must not be answered from the first.
        prefix = is_true("backend.prefix_cache", chosen.get("prefix_cache", ""))
        argv.append("--enable-prefix-caching" if prefix else "--no-enable-prefix-caching")
        if not is_true("backend.mm_cache", chosen.get("mm_cache", "")):
            argv += ["--mm-processor-cache-gb", "0"]
        if "adapter" in chosen:
            argv += ["--served-model-name", "base", "--enable-lora", "--lora-modules", f"model={chosen['adapter']}"]
            argv += ["--max-lora-rank", str(_lora_rank(chosen.get("adapter_rank", "16")))]
        else:
            argv += ["--served-model-name", "model"]
        # vLLM (seen in 0.32) refuses pixel limits and the rate of a video in a request unless its clients are trusted:
        # here the runner alone has the key. `false` leaves the flag out, for older versions that don't know it.
        if is_true(f"backend.engine_args.{_TRUST}", spec.arg(f"{PREFIX}{_TRUST}", "true")):
            argv.append("--trust-request-mm-kwargs")
        # Without it vLLM wants a KV cache for one request of the model's whole context, 36 GiB for the 262,144 tokens
        # of Qwen3-VL-8B, and doesn't start on a smaller card. `auto` takes what fits (0.33,
        # v1/core/kv_cache_planning.py:1337). `model` leaves the flag out, for older versions that don't know `auto`.
        context = spec.arg(f"{PREFIX}{_CONTEXT}", "auto")
        if context != "model":
            argv += ["--max-model-len", context]
        # At its start vLLM computes the largest picture that the processor lets through and keeps what that takes from
        # the KV cache (0.33, model_executor/models/qwen2_vl.py:1079, get_image_size_with_most_features): 16,384 tokens
        # for Qwen2.5-VL, whatever is sent. A limit in a request wins over this one (config/multimodal.py:67). Under
        # images_kwargs, because a flat limit would hold for videos, too.
        if spec.largest_pixels is not None and not spec.arg(f"{PREFIX}{_MM_KWARGS}"):
            argv += ["--mm-processor-kwargs", json.dumps({"images_kwargs": {"max_pixels": spec.largest_pixels}})]
        argv += flags(spec, _OURS, but=(_TRUST, _CONTEXT))
        return Launch(
            tuple(argv),
            variables=_variables(chosen.get("threads")),
            key_variable="VLLM_API_KEY",
            statistics_path="/metrics",
            peak_gauge=_USAGE,
        )

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        return vllm_failures.translate(log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Read vLLM's own account: what it reserved from its log, what was used of it from /metrics."""
        then, now = Metrics(before), Metrics(after)
        gpus = _gpus(log)
        reserved = times(_reserved(now, log), gpus)
        peak = now.highest("runner_peak")
        used = None if reserved is None or peak is None else peak * reserved
        activation, consumed, graphs = (times(part, gpus) for part in _at_start(log))
        parts = (consumed, activation, used)
        facts = {name: match[1].replace(",", "") for name, pattern in _FACTS.items() if (match := pattern.search(log))}
        means = {name: mean(then, now, histogram) for name, histogram in _TIMES.items()}
        if (fitted := _FITTED.search(log)) is not None:
            facts["context_tokens"] = fitted[1]
        facts |= {name: f"{value:.6f}" for name, value in means.items() if value is not None}
        needed = None if None in parts else sum(part for part in parts if part is not None) + (graphs or 0.0)
        return EngineStats(
            weights_gib=times(
                _number(_LOADED, log) or None, gpus
            ),  # 0.0: a model of less than 5 MB, printed with two digits
            kv_reserved_gib=reserved,
            kv_used_gib=used,
            activation_gib=activation,
            graphs_gib=graphs,
            needed_gib=needed,
            prefix_hit_rate=rate(then, now, "vllm:prefix_cache_hits", "vllm:prefix_cache_queries"),
            mm_hit_rate=rate(then, now, "vllm:mm_cache_hits", "vllm:mm_cache_queries"),
            facts=facts | ({"gpus": str(gpus)} if gpus > 1 else {}),
            notes=spread_over(gpus),
        )


def _quantization(spec: EngineSpec, asked: str) -> str | None:
    """Return vLLM's name of a quantisation that it makes while loading; those in a checkpoint it finds by itself."""
    if spec.quant in _MADE_WHILE_LOADING:
        return _MADE_WHILE_LOADING[spec.quant]
    if spec.quant not in (*_IN_THE_CHECKPOINT, *DTYPE_OF_QUANT) or asked != "none":
        known = ", ".join((*_IN_THE_CHECKPOINT, *DTYPE_OF_QUANT, *_MADE_WHILE_LOADING))
        raise ValueError(f"quant={spec.quant}: backend vllm knows {known}")
    return None


def _lora_rank(rank: str) -> int:
    """Return the smallest rank that vLLM can be set to and that holds the adapter's."""
    fitting = [known for known in _LORA_RANKS if known >= int(rank)]
    if not fitting:
        raise ValueError(f"model.adapter: its rank is {rank}, and vLLM serves up to {_LORA_RANKS[-1]}")
    return fitting[0]


def _variables(threads: str | None) -> dict[str, str]:
    variables = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if threads:  # on a CPU only: it binds a thread to every core unless told not to
        variables |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": threads}
    return variables


def _reserved(metrics: Metrics, log: str) -> float | None:
    """Return the GiB of the KV cache: what it was sized to, else what the log says was free for it."""
    value = metrics.labels("vllm:cache_config_info").get("kv_cache_memory_bytes", "")
    return int(value) / _GIB if value.isdigit() and int(value) else _number(_AVAILABLE, log)


def _at_start(log: str) -> tuple[float | None, float | None, float | None]:
    """Return what the peak of activations, weights with libraries, and graphs took in GiB, as vLLM measured it.

    A CPU has none of them. Where the engine is spread over GPUs they are those of the one that writes first. vLLM may
    count its estimate of the graphs' memory to the activations: it is taken out again, for the graphs are counted
    themselves.
    """
    graphs = float(captures[-1]) if (captures := _GRAPHS.findall(log)) else None
    match = _USED_AT_START.search(log)
    if match is None:
        return None, None, graphs
    estimate = _number(_GRAPHS_ESTIMATED, log) or 0.0
    peak = float(match[2]) - (estimate if _ESTIMATE_IS_COUNTED in log else 0.0)
    consumed = float(match[1]) + float(match[3] or 0.0)
    return max(0.0, peak), consumed, float(match[4]) if match[4] else graphs


def _gpus(log: str) -> int:
    """Return over how many GPUs the engine is spread; 1 where the log doesn't say."""
    return math.prod(int(match[1]) for pattern in _SPREAD.values() if (match := pattern.search(log)))


def _number(pattern: re.Pattern[str], log: str) -> float | None:
    match = pattern.search(log)
    return next((float(group) for group in match.groups() if group), None) if match else None
