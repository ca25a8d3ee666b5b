"""The HF engine: transformers, behind our own server (`backends.hf_server`).

Settings come as `EngineSpec.args`; `engine_args.<name>` is passed on as `--<name>`:

    dtype attention device batch_size min_pixels max_pixels config_override quantization adapter trust_remote_code
    threads family engine_args.*
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from backends import hf_failures
from backends.api import EngineSpec, EngineStats, Failure, Launch

_GIB = 2**30

_DTYPE_OF_QUANT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_MADE_WHILE_LOADING = ("bnb_int8", "bnb_nf4")
_IN_THE_CHECKPOINT = ("native", "awq", "gptq_int4", "gptq_int8", "w8a8", "w4a16", "fp8")

# Setting -> what it may be; an empty tuple leaves the check to the server.
_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "attention": ("sdpa", "eager", "flash_attention_2"),
    "device": (),
    "batch_size": (),
    "min_pixels": (),
    "max_pixels": (),
    "config_override": (),
    "quantization": ("none", *_MADE_WHILE_LOADING),
    "adapter": (),
    "threads": (),
    "family": (),
}
_DEFAULTS = {"attention": "sdpa", "device": "auto", "batch_size": "1"}  # named, so that the log says them
_ENGINE_ARGS = "engine_args."

# How the engine's process gets memory (glibc's and torch's own names), measured on a narrow Qwen2-VL in fp32.
# - Blocks above 16 MiB go back to the system as soon as they are free, and the rest when a job begins
#   (`/statistics/reset`). With glibc's defaults a job's CPU peak contains what the job before it left: 995 instead of
#   907 MiB at its beginning, 1.71 instead of 1.45 GiB at its peak.
# - Up to 64 MiB at the end of the heap are kept between steps, in one arena for all threads. Else (128 KiB, once the
#   line above is set) each step faults its memory in anew: batches of four took 7% more CPU time.
# - Huge pages, where the system lends them to who asks: fewer faults still.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(16 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
    "THP_MEM_ALLOC_ENABLE": "1",
}


class HfBackend:
    """Serves a checkpoint with transformers."""

    name = "hf"

    def launch(self, spec: EngineSpec, port: int) -> Launch:
        """Return the command of our server. Raise ValueError for a setting that it does not know."""
        argv = ["python", "-m", "backends.hf_server", "--model", spec.checkpoint, "--port", str(port)]
        argv += ["--served-model-name", "model", "--weights", _choice("model.weights", spec.weights, ("real", "dummy"))]
        if spec.revision:
            argv += ["--revision", spec.revision]
        for name, value in _settings(spec).items():
            argv += [f"--{name.replace('_', '-')}", value]
        if _is_true(spec.arg("trust_remote_code")):
            argv.append("--trust-remote-code")
        return Launch(tuple(argv), variables=MALLOC, statistics_path="/statistics", reset_path="/statistics/reset")

    def translate(self, log_tail: str) -> Failure | None:
        """Recognise a known failure in the end of an engine's log, in the user's words."""
        return hf_failures.translate(log_tail)

    def statistics(self, before: str, after: str, log: str) -> EngineStats:
        """Read the server's own account; its allocator's peaks were reset at the mark, so `after` says it all."""
        del before, log
        try:
            account = json.loads(after)
        except ValueError:
            return EngineStats(notes=("the HF server's statistics are not JSON",))
        if not isinstance(account, dict):
            return EngineStats(notes=("the HF server's statistics are not an object",))
        weights = _gib(account.get("weights_bytes"))
        cuda = account.get("cuda") or {}
        needed = _gib(cuda.get("max_allocated_bytes"))
        return EngineStats(
            weights_gib=weights,
            needed_gib=needed,
            activation_gib=None if needed is None or weights is None else max(0.0, needed - weights),
            facts=_facts(account, cuda),
        )


def _settings(spec: EngineSpec) -> dict[str, str]:
    """Return the flags that `spec` decides, by name."""
    settings = dict(_DEFAULTS)
    passed_on = {}
    for name, value in spec.args:
        if name.startswith(_ENGINE_ARGS):
            passed_on[name.removeprefix(_ENGINE_ARGS)] = value
        elif name in _SETTINGS:
            settings[name] = _choice(f"backend.{name}", value, _SETTINGS[name])
        elif name != "trust_remote_code":
            known = ", ".join((*_SETTINGS, "trust_remote_code", f"{_ENGINE_ARGS}*"))
            raise ValueError(f"backend hf has no setting {name!r}; it has: {known}")
    if doubled := sorted(set(passed_on) & {name for name, _ in spec.args}):
        raise ValueError(f"backend.engine_args.{doubled[0]} says again what backend.{doubled[0]} says; keep one")
    _apply_quant(spec.quant, settings)
    return settings | passed_on


def _apply_quant(quant: str, settings: dict[str, str]) -> None:
    """Let the quantisation decide the number format, where it is one of those that the server makes itself."""
    if quant in _DTYPE_OF_QUANT:
        implied = _DTYPE_OF_QUANT[quant]
        if settings.get("dtype", "auto") not in ("auto", implied):
            raise ValueError(f"quant={quant} means dtype {implied}, and backend.dtype={settings['dtype']}; keep one")
        settings["dtype"] = implied
    elif quant in _MADE_WHILE_LOADING:
        if settings.get("quantization", quant) not in ("none", quant):
            raise ValueError(f"quant={quant}, and backend.quantization={settings['quantization']}; keep one")
        settings["quantization"] = quant
    elif quant not in _IN_THE_CHECKPOINT:
        known = ", ".join((*_IN_THE_CHECKPOINT, *_DTYPE_OF_QUANT, *_MADE_WHILE_LOADING))
        raise ValueError(f"quant={quant}: backend hf knows {known}")
    settings.setdefault("dtype", "auto")
    settings.setdefault("quantization", "none")


def _choice(key: str, value: str, valid: tuple[str, ...]) -> str:
    if valid and value not in valid:
        raise ValueError(f"{key}={value}: backend hf knows {', '.join(valid)}")
    return value


def _is_true(value: str) -> bool:
    if value.lower() not in ("", "true", "false"):
        raise ValueError(f"model.trust_remote_code={value}: true or false")
    return value.lower() == "true"


def _facts(account: Mapping[str, Any], cuda: Mapping[str, Any]) -> dict[str, str]:
    """Return what explains the figures: what was loaded how, by which versions."""
    names = ("architecture", "family", "device", "dtype", "attention", "batch_size", "context_tokens", "threads")
    facts = {name: str(account[name]) for name in names if account.get(name) is not None}
    facts["quantization"] = json.dumps(account.get("quantization"))
    for package, version in (account.get("versions") or {}).items():
        if version is not None:
            facts[f"version.{package}"] = str(version)
    if (sizes := account.get("qwen_vl_utils") or {}).get("pictures"):
        facts["qwen_vl_utils"] = _sizes(sizes)
    if "name" in cuda:
        facts["gpu"] = str(cuda["name"])
    if (reserved := _gib(cuda.get("max_reserved_bytes"))) is not None:
        facts["allocator_reserved_peak_gib"] = f"{reserved:.3f}"
    return facts


def _sizes(account: Mapping[str, Any]) -> str:
    """Say whether qwen-vl-utils gives pictures the sizes that the model saw."""
    version, pictures, differing = (account[name] for name in ("version", "pictures", "differing"))
    if not differing:
        return f"{version}: the same sizes for {pictures} of {pictures} pictures"
    return f"{version}: other sizes for {differing} of {pictures} pictures, the first {account['first']}"


def _gib(count: object) -> float | None:
    return count / _GIB if isinstance(count, int) else None
