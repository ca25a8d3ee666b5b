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

# Arguments of a processor that are no settings of the checkpoint.
PARTS = ("image_processor", "tokenizer", "video_processor", "feature_extractor", "chat_template", "kwargs")


def image_only_processor(settings: Settings, config: Any, tokenizer: Any, source: dict[str, Any]) -> Any:
    """Build the checkpoint's processor class from its image processor and tokenizer, without a video processor.

    `source` are the keyword arguments for `from_pretrained` (revision, local files only, ...).
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    stated = _stated(settings, source)
    # transformers' table has no line for some model types (GLM-OCR); their checkpoints name a processor's class.
    name = PROCESSOR_MAPPING_NAMES.get(model_type(config)) or stated.get("processor_class")
    if name is None or not hasattr(transformers, name):
        raise LoadError(
            f"{settings.model}: transformers {transformers.__version__} names no processor for model type "
            f"{model_type(config)!r}; install torchvision, or a transformers version that knows the model"
        )
    base = getattr(transformers, name)
    # The checkpoint's own settings, such as how many tokens a picture has: defaults of the class are another model's.
    known = inspect.signature(base).parameters
    options = {key: value for key, value in stated.items() if key in known and key not in PARTS}
    try:
        processor = without_video(base)(image_processor(settings, source), tokenizer, **options)
    except ImportError as error:
        raise LoadError(f"{settings.model}: its processor can't be built without torchvision: {error}") from error
    except (TypeError, AttributeError) as error:
        message = f"{settings.model}: {name} has a part that needs torchvision ({error}); install torchvision"
        raise LoadError(message) from error
    processor.chat_template = stated.get("chat_template") or tokenizer.chat_template
    return processor


def without_video(base: type) -> type:
    """Return a subclass of a processor class that has an image processor and a tokenizer, but no video processor."""
    processor: Any = base
    hears = "feature_extractor" in inspect.signature(base).parameters  # Gemma 4: its class asks for ears, too

    class ImageOnly(base):
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, **options: Any):
            if hears:
                options["feature_extractor"] = None
            super().__init__(image_processor=image_processor, tokenizer=tokenizer, video_processor=None, **options)

        @classmethod
        def get_attributes(cls) -> list[str]:
            """Return the parts, which transformers reads from the arguments of __init__, with those of sound."""
            parts: list[str] = processor.get_attributes() if hears else super().get_attributes()
            return parts

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
    """Return what the checkpoint says of its processor: its settings, its class, its chat template.

    They stand in processor_config.json; the template (chat_template.jinja or .json) has priority over the tokenizer's.
    Where that file doesn't name the class, preprocessor_config.json does, as for AutoProcessor.
    """
    from transformers import ImageProcessingMixin, ProcessorMixin

    options = {name: value for name, value in source.items() if name != "trust_remote_code"}
    values, _ = ProcessorMixin.get_processor_dict(settings.model, **options)
    stated = dict(values)
    if not stated.get("processor_class"):
        try:
            of_images, _ = ImageProcessingMixin.get_image_processor_dict(settings.model, **options)
        except OSError:  # no such file: loading the image processor will say so
            of_images = {}
        stated["processor_class"] = of_images.get("processor_class")
    return stated
