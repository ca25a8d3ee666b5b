"""Writes a checkpoint folder that transformers, vLLM and SGLang all load."""

import copy
import json
from pathlib import Path

import torch
from transformers import GenerationConfig, Qwen2Tokenizer, Qwen2VLForConditionalGeneration

from demo_models.drawing import HEIGHT, WIDTH
from demo_models.network import IMAGE_MEAN, IMAGE_STD, MERGED, PATCH

# A larger picture is shrunk to the size on which the models were trained.
PIXEL_LIMITS = {"min_pixels": 4 * MERGED**2, "max_pixels": WIDTH * HEIGHT}


def save_checkpoint(model: Qwen2VLForConditionalGeneration, tokenizer: Qwen2Tokenizer, folder: Path) -> None:
    """Write weights in bf16, configuration, tokenizer, chat template and image settings."""
    model = copy.deepcopy(model).to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes files that only their owner may read
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Hub checkpoints carry these two and SGLang reads the first; transformers 5 drops them when it saves.
    config["vision_config"].update(in_chans=3, spatial_patch_size=PATCH)
    write_json(folder / "config.json", config)
    # A `processor_config.json` would bind the checkpoint to one version of transformers: vLLM and SGLang want this one.
    preprocessor = {
        **PIXEL_LIMITS,
        "patch_size": PATCH,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": list(IMAGE_MEAN),
        "image_std": list(IMAGE_STD),
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
    }
    write_json(folder / "preprocessor_config.json", preprocessor)


def write_json(path: Path, content: dict) -> None:
    """Write readable JSON with a final line break."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
