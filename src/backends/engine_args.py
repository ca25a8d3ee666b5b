"""From `EngineSpec.args` to the command line of somebody else's server."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from backends.api import EngineSpec

PREFIX = "engine_args."
DTYPE_OF_QUANT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# Settings that only the HF engine has, and the values under which nothing is asked of others.
_NEUTRAL = {"family": ("auto",), "device": ("auto",), "dtype": ("auto",), "quantization": ("none",)}


def settings(spec: EngineSpec, known: Collection[str]) -> dict[str, str]:
    """Return the settings of `spec` but for `engine_args.*`. Raise ValueError for one that is not among `known`."""
    chosen = {}
    for name, value in spec.args:
        if name.startswith(PREFIX) or (name not in known and value in _NEUTRAL.get(name, ())):
            continue
        if name not in known:
            others = ", ".join((*sorted(known), f"{PREFIX}*"))
            raise ValueError(f"backend {spec.backend} has no setting {name}={value}; it has: {others}")
        chosen[name] = value
    return chosen


def flags(spec: EngineSpec, ours: Mapping[str, str], but: Collection[str] = ()) -> list[str]:
    """Return `engine_args.*` as flags, all `but` some: `max_model_len=4096` is --max-model-len 4096.

    `true` gives the bare flag, `false` --no-flag. `ours` says which flags are set by which key of ours: giving one
    twice is refused.
    """
    line: list[str] = []
    for name, value in spec.args:
        if not name.startswith(PREFIX):
            continue
        name = name.removeprefix(PREFIX).replace("-", "_")  # noqa: PLW2901  the flag's own spelling is the caller's
        if name in but:
            continue
        if name in ours:
            raise ValueError(f"backend.engine_args.{name}: set {ours[name]} instead")
        flag = name.replace("_", "-")
        if value in ("true", "false"):
            line.append(f"--{flag}" if value == "true" else f"--no-{flag}")
        else:
            line += [f"--{flag}", value]
    return line


def is_true(name: str, value: str) -> bool:
    """Read a truth value. Raise ValueError for anything else."""
    if value not in ("", "true", "false"):
        raise ValueError(f"{name}={value}: true or false")
    return value == "true"


def dtype(spec: EngineSpec, chosen: str) -> str:
    """Return the number format that quantisation and `backend.dtype` agree on. Raise ValueError where they don't."""
    implied = DTYPE_OF_QUANT.get(spec.quant)
    if implied and chosen not in ("", "auto", implied):
        raise ValueError(f"quant={spec.quant} means dtype {implied}, and backend.dtype={chosen}; keep one")
    return implied or chosen or "auto"


def which_weights(spec: EngineSpec) -> list[str]:
    """Return the flags that say which weights are loaded; vLLM and SGLang share them."""
    if spec.weights not in ("real", "dummy"):
        raise ValueError(f"model.weights={spec.weights}: backend {spec.backend} knows real, dummy")
    revision = ["--revision", spec.revision] if spec.revision else []
    return [*revision, "--load-format", "dummy"] if spec.weights == "dummy" else revision
