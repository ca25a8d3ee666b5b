"""Builds a substitute tokenizer and processor for a config.json, to measure speed and memory offline.

Each byte of a text is one token. The special tokens have the ids in the configuration. Every other id decodes to a
short printable text, because a model with random weights samples from the whole vocabulary, and an answer without
visible text would have no time to first token.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backends.chat_server.errors import LoadError
from backends.hf_server.configuration import model_type
from backends.hf_server.families.image_only import without_video
from backends.hf_server.settings import Settings

END_OF_TURN = "<|im_end|>"
PADDING = "<|endoftext|>"
START_OF_TURN = "<|im_start|>"
TOKENS_OF_KEYS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "bos_token_id": PADDING,
    "eos_token_id": END_OF_TURN,
}
# The ChatML template of the Qwen-VL family, without its default system prompt.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def synthetic_processor(settings: Settings, config: Any, source: dict[str, Any]) -> Any:
    """Build a processor for images and text of the Qwen-VL family from its configuration. Raise LoadError."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(model_type(config), "")
    if not name.startswith("Qwen") or getattr(config, "image_token_id", None) is None:
        raise LoadError(
            f"{settings.model} has no tokenizer, and a stand-in is only made for the Qwen-VL family, not for "
            f"{model_type(config)!r}: put the model's tokenizer and processor files beside config.json"
        )
    tokenizer = synthetic_tokenizer(config)
    return without_video(getattr(transformers, name))(
        _image_processor(settings, config, source), tokenizer, chat_template=TEMPLATE
    )


def synthetic_tokenizer(config: Any) -> Any:
    """Build a byte-level tokenizer whose special tokens have the ids in the configuration."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    text = config.get_text_config()
    special: dict[str, int] = {}
    for key, token in TOKENS_OF_KEYS.items():
        value = getattr(config, key, None)
        value = getattr(text, key, None) if value is None else value
        value = value[0] if isinstance(value, list) else value
        if value is not None and value not in special.values():
            special[token] = value
    free = (number for number in range(text.vocab_size - 1, -1, -1) if number not in special.values())
    for token in (START_OF_TURN, END_OF_TURN, PADDING):
        if token not in special:
            special[token] = next(free)

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = {number: token for token, number in special.items()}
    spare = iter(letters)
    for number in range(text.vocab_size):
        if number not in names:
            names[number] = next(spare, f"Ġ{number}")  # Ġ is a space in the byte-level alphabet
    backend = Tokenizer(models.BPE(vocab={token: number for number, token in names.items()}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


def _image_processor(settings: Settings, config: Any, source: dict[str, Any]) -> Any:
    import transformers
    from transformers import AutoImageProcessor

    if (Path(settings.model) / "preprocessor_config.json").is_file():
        return AutoImageProcessor.from_pretrained(settings.model, **source)
    vision = config.vision_config
    kind = getattr(transformers, "Qwen2VLImageProcessorPil", None) or transformers.Qwen2VLImageProcessor
    return kind(
        patch_size=vision.patch_size,
        merge_size=vision.spatial_merge_size,
        temporal_patch_size=vision.temporal_patch_size,
    )
