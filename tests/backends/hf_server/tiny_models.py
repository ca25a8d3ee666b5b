"""Tiny checkpoints with random weights, written in about a second: true architectures, no download."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
    "<|video_pad|>",
)
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "assistant:"
)
PROCESSORS = {"qwen2_vl": "Qwen2VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor"}
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
# Parts of what a decoder repeats per layer; group size of w4a16.
QUANTISED = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
GROUP = 32


def tokenizer(special: tuple[str, ...] = SPECIAL, template: str = TEMPLATE, **options: Any) -> Any:
    """One token per byte and the special tokens. `options` are those of PreTrainedTokenizerFast."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", **options
    )
    made.chat_template = template
    return made


def qwen_config(made: Any, kind: str = "qwen2_vl") -> Any:
    """The configuration of a two-layer Qwen-VL over that tokenizer."""
    from transformers import Qwen2_5_VLConfig, Qwen2VLConfig, Qwen3VLConfig

    number = {token: made.convert_tokens_to_ids(token) for token in SPECIAL}
    text = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "type": "mrope", "mrope_section": [4, 6, 6], "rope_theta": 1e6},
        "bos_token_id": number["<|endoftext|>"],
        "eos_token_id": number["<|im_end|>"],
        "pad_token_id": number["<|endoftext|>"],
    }
    shared = {"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if kind == "qwen2_vl":
        vision = {**shared, "embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
    elif kind == "qwen3_vl":
        vision = {**shared, "patch_size": 16, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 64}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [1]}
        text |= {"head_dim": 32}
        text["rope_parameters"] |= {"rope_type": "default", "mrope_interleaved": True}
    else:
        vision = {**shared, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 64}
        vision |= {"fullatt_block_indexes": [1], "window_size": 56}
    return {"qwen2_vl": Qwen2VLConfig, "qwen2_5_vl": Qwen2_5_VLConfig, "qwen3_vl": Qwen3VLConfig}[kind](
        text_config=text,
        vision_config=vision,
        image_token_id=number["<|image_pad|>"],
        video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"],
        vision_end_token_id=number["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def make_qwen(folder: Path, kind: str = "qwen2_vl") -> Path:
    """A Qwen2-VL, Qwen2.5-VL (`qwen2_5_vl`) or Qwen3-VL (`qwen3_vl`) whose answers are lively enough to differ."""
    from transformers import AutoModelForImageTextToText, GenerationConfig

    made = tokenizer()
    config = qwen_config(made, kind)
    model = lively(AutoModelForImageTextToText.from_config(config), made, SPECIAL)
    eos = [made.convert_tokens_to_ids("<|im_end|>"), made.convert_tokens_to_ids("<|endoftext|>")]
    # Sampling defaults such as Qwen's: the server must not let them into a greedy answer.
    model.generation_config = GenerationConfig(
        eos_token_id=eos, pad_token_id=eos[1], do_sample=True, temperature=0.9, top_k=3, repetition_penalty=1.3
    )
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    preprocessor = {
        "min_pixels": 3136,
        "max_pixels": 50176,
        "patch_size": config.vision_config.patch_size,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": PROCESSORS[kind],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def make_text(folder: Path) -> Path:
    """A Qwen2, which takes text alone."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    made = tokenizer(special)
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        eos_token_id=made.eos_token_id,
    )
    lively(Qwen2ForCausalLM(config), made, special).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def make_layoutlmv3(folder: Path) -> Path:
    """A LayoutLMv3 for question answering, one token per byte, windows of 126 tokens."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import LayoutLMv3Config, LayoutLMv3ForQuestionAnswering, LayoutLMv3Tokenizer

    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = LayoutLMv3Tokenizer(vocab={letter: number for number, letter in enumerate(letters)}, merges=[])
    config = LayoutLMv3Config(
        vocab_size=len(letters),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=258,
        coordinate_size=6,
        shape_size=4,
        input_size=32,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    model = LayoutLMv3ForQuestionAnswering(config)
    _wide(model)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    preprocessor = {"image_processor_type": "LayoutLMv3ImageProcessor", "size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps({**preprocessor, "do_resize": True}))
    return folder


def make_layoutlmv2(folder: Path, *, xlm: bool = False) -> Path:
    """A LayoutLMv2 for question answering, one token per letter, windows of 258 tokens; `xlm`: LayoutXLM's tokenizer.

    Its backbone is a ResNeXt-50 with few channels, named as detectron2 names it.
    """
    import torch
    from transformers import LayoutLMv2Config, LayoutLMv2ForQuestionAnswering, LayoutLMv2Tokenizer, LayoutXLMTokenizer

    from backends.hf_server.families import resnext_fpn

    resnext_fpn.install()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    if xlm:
        pieces = ["<s>", "<pad>", "</s>", "<unk>", *[f"\u2581{one}" for one in letters], *letters, "<mask>"]
        made = LayoutXLMTokenizer(vocab=[(piece, -1.0) for piece in pieces])
    else:
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *[f"##{one}" for one in letters]]
        made = LayoutLMv2Tokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    sizes = {"RES2_OUT_CHANNELS": 16, "STEM_OUT_CHANNELS": 8, "NUM_GROUPS": 4, "WIDTH_PER_GROUP": 2, "DEPTH": 50}
    backbone = LayoutLMv2Config.get_default_detectron2_config()
    backbone |= {f"MODEL.RESNETS.{name}": value for name, value in sizes.items()} | {"MODEL.FPN.OUT_CHANNELS": 12}
    config = LayoutLMv2Config(
        vocab_size=len(made),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=258,
        type_vocab_size=1 if xlm else 2,
        pad_token_id=made.pad_token_id,
        coordinate_size=6,
        shape_size=4,
        image_feature_pool_shape=[7, 7, 12],
        detectron2_config_args=backbone,
    )
    torch.manual_seed(0)
    model = LayoutLMv2ForQuestionAnswering(config)
    _wide(model)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "LayoutLMv2ImageProcessor"}))
    return folder


def make_llava(folder: Path) -> Path:
    """A LLaVA: CLIP vision tower, Llama text model, fixed image size."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip import image_processing_pil_clip as clip

    special = ("<|endoftext|>", "<|im_end|>", "<image>")
    made = tokenizer(special, LLAVA_TEMPLATE)
    text = LlamaConfig(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=made.eos_token_id,
    )
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14
    )
    config = LlavaConfig(
        text_config=text, vision_config=vision, image_token_index=made.convert_tokens_to_ids("<image>")
    )
    model = lively(LlavaForConditionalGeneration(config), made, special)
    model.save_pretrained(folder)
    size = {"height": 56, "width": 56}
    processor = LlavaProcessor(
        clip.CLIPImageProcessorPil(size=size, crop_size=size),
        made,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def make_adapter(source: Path, folder: Path, *, random: bool = True, rank: int = 4) -> Path:
    """A LoRA adapter for a tiny checkpoint; with `random=False` one that changes nothing."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(source)
    config = LoraConfig(
        r=rank, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=not random
    )
    torch.manual_seed(0)
    get_peft_model(model, config).save_pretrained(folder)
    return folder


def make_quantised(source: Path, folder: Path, kind: str) -> Path:
    """Round a tiny checkpoint's text layers to `w8a8` or `w4a16` in the compressed-tensors format."""
    import torch
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for file in source.iterdir():
        if file.name not in ("model.safetensors", "config.json"):
            shutil.copy(file, folder / file.name)
    tensors: dict[str, Any] = {}
    for name, weight in load_file(source / "model.safetensors").items():
        base = name.removesuffix(".weight")
        if base == name or ".layers." not in name or base.rpartition(".")[2] not in QUANTISED:
            tensors[name] = weight
        elif kind == "w8a8":
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-8) / 127
            tensors[name] = (weight / scale).round().clamp(-128, 127).to(torch.int8)
            tensors[f"{base}.weight_scale"] = scale
        else:
            tensors |= _packed_int4(base, weight)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = _quantisation(kind)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _packed_int4(base: str, weight: Any) -> dict[str, Any]:
    import torch
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    groups = weight.view(weight.shape[0], -1, GROUP)
    scale = groups.abs().amax(2, keepdim=True).clamp(min=1e-8) / 7
    rounded = (groups / scale).round().clamp(-8, 7).to(torch.int8).view_as(weight)
    return {
        f"{base}.weight_packed": pack_to_int32(rounded, 4),
        f"{base}.weight_scale": scale.squeeze(2).contiguous(),
        f"{base}.weight_shape": torch.tensor(list(weight.shape)),
    }


def _quantisation(kind: str) -> dict[str, Any]:
    common = {"type": "int", "symmetric": True, "actorder": None, "block_structure": None, "observer_kwargs": {}}
    if kind == "w8a8":
        shape: dict[str, Any] = {"num_bits": 8, "strategy": "channel", "group_size": None}
        inputs = {**common, "num_bits": 8, "strategy": "token", "group_size": None, "dynamic": True, "observer": None}
    else:
        shape = {"num_bits": 4, "strategy": "group", "group_size": GROUP}
        inputs = None
    weights = {**common, **shape, "dynamic": False, "observer": "minmax"}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized" if kind == "w8a8" else "pack-quantized",
        "quantization_status": "compressed",
        "global_compression_ratio": None,
        "kv_cache_scheme": None,
        "ignore": ["re:.*visual.*", "lm_head"],
        "config_groups": {"group_0": group},
    }


def _wide(model: Any) -> None:
    """Draw weights so wide that the words that a model marks depend on the question. torch's seed is set before."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)


def lively(model: Any, made: Any, special: tuple[str, ...]) -> Any:
    """Draw weights so wide that answers depend on the prompt, and never let image or role tokens be drawn."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                parameter.normal_(0, 0.15, generator=generator)
        model.get_input_embeddings().weight.normal_(0, 1.0, generator=generator)
        head = model.get_output_embeddings().weight
        head.normal_(0, 0.4, generator=generator)
        head[94:256] *= 0.4  # readable answers: the first 94 tokens are the visible ASCII characters
        for token in special:
            head[made.convert_tokens_to_ids(token)] = 0
        head[len(made) :] = 0
    return model.eval()
