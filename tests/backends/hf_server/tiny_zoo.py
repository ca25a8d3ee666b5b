"""Tiny checkpoints of the zoo's architectures: random weights, the true classes, a processor made from its settings."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiny_models import CLIP_MEAN, CLIP_STD, lively, tokenizer

END, PAD, START = "<|im_end|>", "<|endoftext|>", "<s>"


@dataclass(frozen=True)
class Recipe:
    """What makes a tiny checkpoint of one model type.

    `marks` are the tokens that stand for a picture: name of the tokenizer's attribute -> token. `picture` is what the
    chat template writes for a picture. `numbers` are keys of config.json -> the token whose number they hold.
    """

    text: dict[str, Any]
    vision: dict[str, Any]
    marks: dict[str, str]
    picture: str
    numbers: dict[str, str]
    preprocessor: dict[str, Any]
    processor: dict[str, Any] = field(default_factory=dict)  # keys of processor_config.json
    config: dict[str, Any] = field(default_factory=dict)
    more_tokens: tuple[str, ...] = ()


TEXT = {
    "vocab_size": 384,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 2048,
}
MROPE = {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e6}
QWEN_MARKS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
}
QWEN_NUMBERS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
QWEN_VISION = {
    "depth": 2,
    "num_heads": 2,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "out_hidden_size": 64,
    "num_position_embeddings": 64,
}
AREAS = {"image_mean": CLIP_MEAN, "image_std": CLIP_STD, "min_pixels": 3136, "max_pixels": 50176}
QWEN_PREPROCESSOR = {
    **AREAS,
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen3VLProcessor",
    "patch_size": 16,
    "temporal_patch_size": 2,
    "merge_size": 2,
}
HYBRID = {
    "head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "rope_parameters": {**MROPE, "mrope_interleaved": True, "partial_rotary_factor": 1.0},
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GLM_MARKS = {"image_token": "<|image|>", "video_token": "<|video|>"}
GLM_MORE = ("<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>")
GLM_NUMBERS = {
    "image_token_id": "<|image|>",
    "video_token_id": "<|video|>",
    "image_start_token_id": "<|begin_of_image|>",
    "image_end_token_id": "<|end_of_image|>",
    "video_start_token_id": "<|begin_of_video|>",
    "video_end_token_id": "<|end_of_video|>",
}
GLM_VISION = {
    "depth": 2,
    "num_heads": 2,
    "hidden_size": 64,
    "intermediate_size": 64,
    "out_hidden_size": 64,
    "patch_size": 14,
    "image_size": 112,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}
GLM_PREPROCESSOR = {
    "image_processor_type": "Glm4vImageProcessor",
    "processor_class": "Glm4vProcessor",
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "size": {"shortest_edge": 6272, "longest_edge": 100352},
}
PIXTRAL_VISION = {
    "model_type": "pixtral",
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 112,
    "patch_size": 14,
}
PIXTRAL_PREPROCESSOR = {
    "image_processor_type": "PixtralImageProcessor",
    "image_mean": CLIP_MEAN,
    "image_std": CLIP_STD,
    "patch_size": {"height": 28, "width": 28},
    "size": {"longest_edge": 112},
}
RECIPES: dict[str, Recipe] = {
    "qwen3_vl_moe": Recipe(
        text={**TEXT, **EXPERTS, "head_dim": 32, "rope_parameters": {**MROPE, "mrope_interleaved": True}},
        vision={**QWEN_VISION, "deepstack_visual_indexes": [1]},
        marks=QWEN_MARKS,
        picture="<|vision_start|><|image_pad|><|vision_end|>",
        numbers=QWEN_NUMBERS,
        preprocessor=QWEN_PREPROCESSOR,
    ),
    "qwen3_5": Recipe(
        text={**TEXT, **HYBRID},
        vision=QWEN_VISION,
        marks=QWEN_MARKS,
        picture="<|vision_start|><|image_pad|><|vision_end|>",
        numbers=QWEN_NUMBERS,
        preprocessor=QWEN_PREPROCESSOR,
    ),
    "qwen3_5_moe": Recipe(
        text={**TEXT, **HYBRID, **EXPERTS, "shared_expert_intermediate_size": 32},
        vision=QWEN_VISION,
        marks=QWEN_MARKS,
        picture="<|vision_start|><|image_pad|><|vision_end|>",
        numbers=QWEN_NUMBERS,
        preprocessor=QWEN_PREPROCESSOR,
    ),
    "internvl": Recipe(
        text={**TEXT, "model_type": "qwen3", "head_dim": 32},
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        },
        marks={
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        picture="<IMG_CONTEXT>\n",
        numbers={"image_token_id": "<IMG_CONTEXT>"},
        config={"image_seq_length": 4, "downsample_ratio": 0.5},
        processor={"processor_class": "InternVLProcessor", "image_seq_length": 4},
        preprocessor={
            "image_processor_type": "GotOcr2ImageProcessor",
            "processor_class": "InternVLProcessor",
            "crop_to_patches": True,
            "min_patches": 1,
            "max_patches": 4,
            "size": {"height": 56, "width": 56},
            "image_mean": CLIP_MEAN,
            "image_std": CLIP_STD,
        },
    ),
    "minicpmv4_6": Recipe(
        text={**TEXT, **HYBRID, "model_type": "qwen3_5_text"},
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "insert_layer_id": 0,
        },
        marks={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "image_start_token": "<image>",
            "image_end_token": "</image>",
            "slice_start_token": "<slice>",
            "slice_end_token": "</slice>",
            "image_id_start_token": "<image_id>",
            "image_id_end_token": "</image_id>",
        },
        picture="<|image_pad|>",
        numbers={"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"},
        config={"insert_layer_id": 0, "image_size": 112},
        preprocessor={
            "image_processor_type": "MiniCPMV4_6ImageProcessor",
            "processor_class": "MiniCPMV4_6Processor",
            "scale_resolution": 112,
            "patch_size": 14,
            "max_slice_nums": 4,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    ),
    "glm4v_moe": Recipe(
        text={
            **TEXT,
            "moe_intermediate_size": 32,
            "num_experts_per_tok": 2,
            "n_routed_experts": 4,
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [2, 3, 3],
                "partial_rotary_factor": 0.5,
            },
        },
        vision=GLM_VISION,
        marks=GLM_MARKS,
        more_tokens=GLM_MORE,
        picture="<|begin_of_image|><|image|><|end_of_image|>",
        numbers=GLM_NUMBERS,
        preprocessor=GLM_PREPROCESSOR,
    ),
    "glm_ocr": Recipe(
        text={
            **TEXT,
            "head_dim": 32,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [4, 6, 6],
                "partial_rotary_factor": 1.0,
            },
        },
        vision=GLM_VISION,
        marks=GLM_MARKS,
        more_tokens=GLM_MORE,
        picture="<|begin_of_image|><|image|><|end_of_image|>",
        numbers=GLM_NUMBERS,
        preprocessor={
            **GLM_PREPROCESSOR,
            "processor_class": "Glm46VProcessor",
            "image_processor_type": "Glm46VImageProcessor",
        },
    ),
    "gemma4": Recipe(
        text={
            **TEXT,
            "head_dim": 32,
            "global_head_dim": 32,
            "vocab_size_per_layer_input": 384,
            "hidden_size_per_layer_input": 16,
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 64,
        },
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "position_embedding_size": 256,
        },
        marks={
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
            "video_token": "<|video|>",
        },
        picture="<|image|>",
        numbers={
            "image_token_id": "<|image|>",
            "boi_token_id": "<|image>",
            "eoi_token_id": "<image|>",
            "audio_token_id": "<|audio|>",
            "boa_token_id": "<|audio>",
            "eoa_token_index": "<audio|>",
            "video_token_id": "<|video|>",
        },
        config={"audio_config": None},
        processor={"processor_class": "Gemma4Processor", "image_seq_length": 70},
        preprocessor={
            "image_processor_type": "Gemma4ImageProcessor",
            "processor_class": "Gemma4Processor",
            "patch_size": 16,
            "pooling_kernel_size": 3,
            "max_soft_tokens": 70,
        },
    ),
    "mistral3": Recipe(
        text={**TEXT, "model_type": "ministral3", "head_dim": 32},
        vision=PIXTRAL_VISION,
        marks={"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"},
        picture="[IMG]",
        numbers={"image_token_index": "[IMG]"},
        config={"spatial_merge_size": 2},
        processor={"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2},
        preprocessor={**PIXTRAL_PREPROCESSOR, "processor_class": "PixtralProcessor"},
    ),
    "lighton_ocr": Recipe(
        text={**TEXT, "model_type": "qwen3", "head_dim": 32},
        vision=PIXTRAL_VISION,
        marks={
            "image_token": "<|image_pad|>",
            "image_break_token": "<|vision_pad|>",
            "image_end_token": "<|vision_end|>",
        },
        picture="<|image_pad|>",
        numbers={"image_token_id": "<|image_pad|>"},
        config={"spatial_merge_size": 2},
        processor={"processor_class": "LightOnOcrProcessor", "patch_size": 14, "spatial_merge_size": 2},
        preprocessor={**PIXTRAL_PREPROCESSOR, "processor_class": "LightOnOcrProcessor"},
    ),
    "paddleocr_vl": Recipe(
        text={**TEXT, "head_dim": 32, "rope_parameters": MROPE},
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 112,
            "patch_size": 14,
            "spatial_merge_size": 2,
        },
        marks={"image_token": "<|IMAGE_PLACEHOLDER|>"},
        more_tokens=("<|IMAGE_START|>", "<|IMAGE_END|>", "<|video_pad|>"),
        picture="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
        numbers={
            "image_token_id": "<|IMAGE_PLACEHOLDER|>",
            "video_token_id": "<|video_pad|>",
            "vision_start_token_id": "<|IMAGE_START|>",
            "vision_end_token_id": "<|IMAGE_END|>",
        },
        preprocessor={
            **AREAS,
            "image_processor_type": "PaddleOCRVLImageProcessor",
            "processor_class": "PaddleOCRVLProcessor",
            "patch_size": 14,
            "temporal_patch_size": 1,
            "merge_size": 2,
        },
    ),
    "deepseek_ocr2": Recipe(
        text={
            **TEXT,
            "num_key_value_heads": 2,
            "moe_intermediate_size": 32,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "mlp_layer_types": ["dense", "sparse"],
        },
        vision={
            "sam_config": {
                "hidden_size": 32,
                "output_channels": 16,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 1024,
                "window_size": 7,
                "global_attn_indexes": [1],
                "mlp_dim": 64,
                "downsample_channels": [32, 64],
            },
            "encoder_config": {
                "hidden_size": 64,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "vocab_size": 8,
            },
        },
        marks={"image_token": "<image>"},
        picture="<image>\n",
        numbers={"image_token_id": "<image>"},
        preprocessor={"image_processor_type": "DeepseekOcr2ImageProcessor", "processor_class": "DeepseekOcr2Processor"},
    ),
    "hunyuan_vl": Recipe(
        text={
            **TEXT,
            "head_dim": 32,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 4, 4, 4]},
        },
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "out_hidden_size": 64,
            "text_hidden_size": 64,
            "patch_size": 16,
            "max_image_size": 256,
        },
        marks={"image_token": "<|image|>", "image_start_token": "<|image_start|>", "image_end_token": "<|image_end|>"},
        more_tokens=("<|image_newline|>",),
        picture="<|image_start|><|image|><|image_end|>",
        numbers={
            "image_token_id": "<|image|>",
            "im_start_id": "<|image_start|>",
            "im_end_id": "<|image_end|>",
            "im_newline_id": "<|image_newline|>",
        },
        preprocessor={
            **AREAS,
            "image_processor_type": "HunYuanVLImageProcessor",
            "processor_class": "HunYuanVLProcessor",
            "patch_size": 16,
            "temporal_patch_size": 1,
            "merge_size": 2,
        },
    ),
    "idefics3": Recipe(
        text={**TEXT, "model_type": "llama"},
        vision={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
        marks={},
        more_tokens=("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
        picture="<image>",
        numbers={"image_token_id": "<image>"},
        config={"scale_factor": 2},
        processor={"processor_class": "Idefics3Processor", "image_seq_len": 4},
        preprocessor={
            "image_processor_type": "Idefics3ImageProcessor",
            "processor_class": "Idefics3Processor",
            "size": {"longest_edge": 112},
            "max_image_size": {"longest_edge": 56},
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    ),
}


def make(folder: Path, kind: str) -> Path:
    """Write the tiny checkpoint of a model type."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, GenerationConfig

    torch.manual_seed(0)
    recipe = RECIPES[kind]
    special = (PAD, END, START, *dict.fromkeys((*recipe.marks.values(), *recipe.more_tokens)))
    template = (
        "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}" + recipe.picture.replace("\n", "\\n").join(("{{ '", "' }}")) + "{% else %}"
        "{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}assistant:"
    )
    made = tokenizer(special, template, bos_token=START, extra_special_tokens=recipe.marks)
    number = {token: made.convert_tokens_to_ids(token) for token in special}
    ends = {"bos_token_id": number[START], "eos_token_id": number[END], "pad_token_id": number[PAD]}
    config = AutoConfig.for_model(
        kind,
        text_config={**recipe.text, **ends},
        vision_config=recipe.vision,
        tie_word_embeddings=False,
        **{key: number[token] for key, token in recipe.numbers.items()},
        **recipe.config,
    )
    model = lively(AutoModelForImageTextToText.from_config(config), made, special)
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(recipe.preprocessor))
    if recipe.processor:
        (folder / "processor_config.json").write_text(json.dumps(recipe.processor))
    return folder
