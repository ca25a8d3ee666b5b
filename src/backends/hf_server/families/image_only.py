"""Builds a processor for images and text for a checkpoint whose own processor needs torchvision.

`AutoProcessor` for the Qwen2-VL family loads a *video* processor, which needs torchvision. Without torchvision it fails
or silently returns only a tokenizer. Images need no torchvision: the PIL image processor and the tokenizer are enough.
"""

from __future__ import annotations

from typing import Any

from backends.chat_server.errors import LoadError
from backends.hf_server.configuration import model_type
from backends.hf_server.settings import Settings


def image_only_processor(settings: Settings, config: Any, tokenizer: Any, source: dict[str, Any]) -> Any:
    """Build the checkpoint's processor class from its image processor and tokenizer, without a video processor.

    `source` are the keyword arguments for `from_pretrained` (revision, local files only, ...).
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(model_type(config))
    if name is None:
        raise LoadError(
            f"{settings.model}: transformers {transformers.__version__} names no processor for model type "
            f"{model_type(config)!r}; install torchvision, or a transformers version that knows the model"
        )
    base = getattr(transformers, name)
    processor = without_video(base)(image_processor(settings, source), tokenizer)
    processor.chat_template = _chat_template(base, settings, source) or tokenizer.chat_template
    return processor


def without_video(base: type) -> type:
    """Return a subclass of a processor class that has an image processor and a tokenizer, but no video processor."""

    class ImageOnly(base):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **options: Any):
            super().__init__(image_processor=image_processor, tokenizer=tokenizer, video_processor=None, **options)

        def check_argument_for_proper_class(self, name: str, argument: Any) -> None:
            """Accept a missing video processor and, in transformers 4, a tokenizer of a general class."""

    # transformers uses the name in messages and files, so it stays that of the checkpoint's class.
    ImageOnly.__name__ = ImageOnly.__qualname__ = base.__name__
    return ImageOnly


def image_processor(settings: Settings, source: dict[str, Any]) -> Any:
    """Load the checkpoint's image processor. Raise LoadError."""
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(settings.model, **source)
    except (OSError, ValueError, ImportError) as error:
        raise LoadError(f"{settings.model}: the image processor can't be loaded: {error}") from error


def _chat_template(base: Any, settings: Settings, source: dict[str, Any]) -> Any:
    """Return the processor's template (chat_template.jinja or .json), which has priority over the tokenizer's."""
    options = {name: value for name, value in source.items() if name != "trust_remote_code"}
    values, _ = base.get_processor_dict(settings.model, **options)
    return values.get("chat_template")
