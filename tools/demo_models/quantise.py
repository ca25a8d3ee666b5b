"""Writes real quantised variants of a checkpoint in the compressed-tensors format, by rounding to the nearest value.

Like most published quantisations of vision-language models, it touches the linear layers of the text model only: the
vision tower, embeddings and norms stay in bf16. Neither a calibration set nor another library is needed.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from demo_models.checkpoint import write_json

_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# 32 divides all widths of the demo models; vLLM takes multiples of 2 on a CPU, and 32, 64 or 128 on a GPU.
GROUP_SIZE = 32


@dataclass(frozen=True)
class Scheme:
    """How weights and activations are stored."""

    bits: int
    group_size: int | None  # None: one scale per output channel
    dynamic_activations: bool
    format: str


SCHEMES = {
    "w8a8": Scheme(bits=8, group_size=None, dynamic_activations=True, format="int-quantized"),
    "w4a16": Scheme(bits=4, group_size=GROUP_SIZE, dynamic_activations=False, format="pack-quantized"),
}


def quantise_checkpoint(source: Path, target: Path, name: str) -> None:
    """Copy a checkpoint folder with its text model's linear layers quantised."""
    scheme = SCHEMES[name]
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if file.name not in ("model.safetensors", "config.json"):
            shutil.copyfile(file, target / file.name)
    tensors: dict[str, torch.Tensor] = {}
    for key, weight in load_file(source / "model.safetensors").items():
        layer = key.removesuffix(".weight")
        if ".layers." in key and layer != key and layer.endswith(_LINEAR):
            tensors |= {f"{layer}.{part}": tensor for part, tensor in _quantise(weight, scheme).items()}
        else:
            tensors[key] = weight
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)  # safetensors writes files that only their owner may read
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = _describe(scheme)
    write_json(target / "config.json", config)


def _quantise(weight: torch.Tensor, scheme: Scheme) -> dict[str, torch.Tensor]:
    """Round one matrix to integers and scales, symmetrically around zero."""
    highest = 2 ** (scheme.bits - 1) - 1
    rows, columns = weight.shape
    groups = weight.float().view(rows, -1, scheme.group_size or columns)
    # Rounding uses the scale as it is stored, in the checkpoint's dtype.
    scale = (groups.abs().amax(2, keepdim=True).clamp(min=1e-8) / highest).to(weight.dtype)
    integers = (groups / scale.float()).round().clamp(-highest - 1, highest).to(torch.int8).view(rows, columns)
    if scheme.format == "int-quantized":
        return {"weight": integers, "weight_scale": scale.squeeze(2)}
    return {
        "weight_packed": _pack(integers, scheme.bits),
        "weight_scale": scale.squeeze(2),
        "weight_shape": torch.tensor(weight.shape),
    }


def _pack(integers: torch.Tensor, bits: int) -> torch.Tensor:
    """Pack signed integers along the columns into int32 words, the first value in the lowest bits."""
    per_word = 32 // bits
    unsigned = (integers.to(torch.int64) + 2 ** (bits - 1)).view(integers.shape[0], -1, per_word)
    words = (unsigned << (bits * torch.arange(per_word))).sum(2)
    return words.to(torch.int32)


def _describe(scheme: Scheme) -> dict[str, object]:
    """Write the `quantization_config` that transformers, vLLM and SGLang read."""
    common = {"num_bits": scheme.bits, "type": "int", "symmetric": True, "actorder": None, "block_structure": None}
    weights = common | {
        "strategy": "group" if scheme.group_size else "channel",
        "group_size": scheme.group_size,
        "dynamic": False,
        "observer": "minmax",
        "observer_kwargs": {},
    }
    activations = common | {
        "strategy": "token",
        "group_size": None,
        "dynamic": True,
        "observer": None,
        "observer_kwargs": {},
    }
    group = {
        "targets": ["Linear"],
        "weights": weights,
        "input_activations": activations if scheme.dynamic_activations else None,
        "output_activations": None,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": scheme.format,
        "quantization_status": "compressed",
        "global_compression_ratio": None,
        "kv_cache_scheme": None,
        "ignore": ["re:.*visual.*", "lm_head"],
        "config_groups": {"group_0": group},
    }
