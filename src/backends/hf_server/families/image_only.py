"""Builds a processor for images and text for a checkpoint whose own processor needs torchvision.

`AutoProcessor` for the Qwen2-VL family loads a *video* processor, which needs torchvision. Without torchvision it fails
or silently returns only a tokenizer. Images need no torchvision: the PIL image processor and the tokenizer are enough.
"""

from __future__ import annotations

import inspect
from typing import Any

from backends.chat_server.errors import LoadError
from backends.hf_server.configuration import model_type
from backends.hf_server.settings import Settings


PARTS = ("image_processor", "tokenizer", "video_processor", "feature_extractor", "chat_template", "self", "kwargs")


def image_only_processor(settings: Settings, config: Any, tokenizer: Any, source: dict[str, Any]) -> Any:
    """Build the checkpoint's processor class from its image processor and tokenizer, without a video processor.

    `source` are the keyword arguments for `from_pretrained` (revision, local files only, ...).
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    images = image_processor(settings, source)
    stated = _stated(settings, source)
    # Some model types have no line of their own in transformers' table: GLM-OCR's checkpoint names GLM-4.6V's processor.
    name = PROCESSOR_MAPPING_NAMES.get(model_type(config)) or stated.get("processor_class")
    name = name or getattr(images, "processor_class", None) or getattr(images, "_processor_class", None)
    if name is None or not hasattr(transformers, name):
        raise LoadError(
            f"{settings.model}: transformers {transformers.__version__} names no processor for model type "
            f"{model_type(config)!r}; install torchvision, or a transformers version that knows the model"
        )
    base = getattr(transformers, name)
    # The checkpoint's own settings (how many tokens a picture has, say): the defaults of the class are another model's.
    known = inspect.signature(base.__init__).parameters
    options = {key: value for key, value in stated.items() if key in known and key not in PARTS}
    try:
        processor = without_video(base)(images, tokenizer, **options)
    except ImportError as error:
        raise LoadError(f"{settings.model}: its processor can't be built without torchvision: {error}") from error
    except (TypeError, AttributeError) as error:
        raise LoadError(
            f"{settings.model}: {name} can't be built without a part that needs torchvision ({error}); install torchvision"
        ) from error
    processor.chat_template = stated.get("chat_template") or tokenizer.chat_template
    return processor


def without_video(base: type) -> type:
    """Return a subclass of a processor class that has an image processor and a tokenizer, but no video processor."""

    class ImageOnly(base):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **options: Any):
            if "feature_extractor" in inspect.signature(base.__init__).parameters:
                options["feature_extractor"] = None  # of sound, where the class asks for one
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


def _stated(settings: Settings, source: dict[str, Any]) -> dict[str, Any]:
    """Return what the checkpoint says of its processor.

    processor_config.json, and the chat template (chat_template.jinja or .json), which has priority over the tokenizer's.
    """
    from transformers import ProcessorMixin

    options = {name: value for name, value in source.items() if name != "trust_remote_code"}
    values, _ = ProcessorMixin.get_processor_dict(settings.model, **options)
    return dict(values)
