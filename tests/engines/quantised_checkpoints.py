"""A checkpoint turned into AWQ's and GPTQ's formats, each weight rounded to the nearest of 16 values.

Layouts: GPTQ packs eight 4-bit values along a linear layer's inputs, AWQ's GEMM format along its outputs in an order of
its own; https://github.com/casper-hansen/AutoAWQ and https://github.com/AutoGPTQ/AutoGPTQ.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

GROUP = 32  # weights that share a scale
ZERO = 8
PLAIN_ORDER = (0, 1, 2, 3, 4, 5, 6, 7)
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
SETTINGS = {
    "gptq": {"bits": 4, "group_size": GROUP, "quant_method": "gptq", "desc_act": False, "sym": True},
    # As in Qwen's own: the vision tower by its old name.
    "awq": {
        **{"bits": 4, "group_size": GROUP, "quant_method": "awq", "version": "gemm", "zero_point": True},
        "modules_to_not_convert": ["visual"],
    },
}


def write(source: Path, target: Path, method: str) -> Path:
    """Write the checkpoint in `source` into `target`, the language model's linear layers in 4 bits."""
    shutil.copytree(source, target)
    weights: dict[str, torch.Tensor] = {}
    for name, weight in load_file(source / "model.safetensors").items():
        if ".layers." in name and name.endswith("_proj.weight"):
            layer = name.removesuffix(".weight")
            weights |= {f"{layer}.{part}": tensor for part, tensor in _linear(weight, method).items()}
        else:
            weights[name] = weight.half()
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, target / "model.safetensors", {"format": "pt"}
    )
    config = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | {"quantization_config": SETTINGS[method]}))
    return target


def _linear(weight: torch.Tensor, method: str) -> dict[str, torch.Tensor]:
    outputs, inputs = weight.shape
    groups = weight.float().t().reshape(inputs // GROUP, GROUP, outputs)
    scales = groups.abs().amax(1).clamp_min(1e-8) / 7
    values = (groups / scales[:, None]).round().clamp(-8, 7).reshape(inputs, outputs).long() + ZERO
    zeros = torch.full((inputs // GROUP, outputs), ZERO)
    if method == "awq":
        return {"qweight": _packed(values, AWQ_ORDER), "qzeros": _packed(zeros, AWQ_ORDER), "scales": scales.half()}
    return {
        "qweight": _packed(values.t(), PLAIN_ORDER).t(),
        "qzeros": _packed(zeros - 1, PLAIN_ORDER),  # the format's first version keeps one less
        "scales": scales.half(),
        "g_idx": (torch.arange(inputs) // GROUP).int(),
    }


def _packed(values: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Pack eight 4-bit values of a row into each int32."""
    eights = values.reshape(values.shape[0], -1, 8)
    packed = sum(eights[:, :, taken] << (4 * place) for place, taken in enumerate(order))
    assert isinstance(packed, torch.Tensor)
    return torch.where(packed < 2**31, packed, packed - 2**32).int()
