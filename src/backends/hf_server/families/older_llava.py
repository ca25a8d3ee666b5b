"""Completes LLaVA checkpoints that were made before transformers 4.46, such as llava-saiga-8b.

Their processors lack the settings for the number of a picture's tokens, which are taken from the configuration. Their
chat templates are those of the text model and take a message as one text, so the picture's mark is written into it.
"""

from __future__ import annotations

from typing import Any

PROBE = "a text to search for"


def complete(processor: Any, config: Any) -> None:
    """Set the settings for the number of a picture's tokens if the processor lacks them."""
    vision = getattr(config, "vision_config", None)
    if vision is None or getattr(processor, "patch_size", 0) is not None:
        return
    processor.patch_size = vision.patch_size
    processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    # CLIP puts a token for the whole picture before those of its patches.
    processor.num_additional_image_tokens = int(vision.model_type == "clip_vision_model")


def takes_parts(processor: Any) -> bool:
    """Return whether a chat template takes a message as a list of parts. Otherwise it takes one text."""
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROBE}]}
    try:
        rendered = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001 - templates raise many kinds of errors: `can only concatenate str (not "list")`
        return False
    return PROBE in rendered and "'type'" not in rendered


def as_text(content: list[dict[str, str]], mark: str) -> str:
    """Return the parts of a message as one text, with the mark of each picture on its own line."""
    return "".join(part["text"] if part["type"] == "text" else f"{mark}\n" for part in content)
