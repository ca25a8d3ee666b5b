"""What checkpoints of the LLaVA kind from before transformers 4.46 leave unsaid (llava-saiga-8b among them).

Their processors lack the numbers from which the tokens of a picture are counted: the configuration has them. Their chat
templates are those of the text model, which takes a message as one text: the picture's mark is written into it.
"""

from __future__ import annotations

from typing import Any

PROBE = "a text that is looked for"


def complete(processor: Any, config: Any) -> None:
    """Give a processor what it counts a picture's tokens from, where it lacks that."""
    vision = getattr(config, "vision_config", None)
    if vision is None or getattr(processor, "patch_size", 0) is not None:
        return
    processor.patch_size = vision.patch_size
    processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    # CLIP puts a token for the whole picture before those of its patches.
    processor.num_additional_image_tokens = int(vision.model_type == "clip_vision_model")


def takes_parts(processor: Any) -> bool:
    """Whether a chat template takes a message as a list of parts, and not as one text."""
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROBE}]}
    try:
        rendered = processor.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
    except Exception:  # noqa: BLE001 - templates fail in words of their own: `can only concatenate str (not "list")`
        return False
    return PROBE in rendered and "'type'" not in rendered


def as_text(content: list[dict[str, str]], mark: str) -> str:
    """Return the parts of a message as one text, with the mark of a picture on a line of its own."""
    return "".join(part["text"] if part["type"] == "text" else f"{mark}\n" for part in content)
