"""Loads the checkpoint's own processor, or a substitute for it that can process images, too."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

from backends.chat_server.errors import LoadError
from backends.hf_server.families.image_only import image_only_processor, image_processor
from backends.hf_server.settings import Settings

logger = logging.getLogger(__name__)

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")


def load_tokenizer(settings: Settings) -> Any:
    """Return the checkpoint's tokenizer. Raise LoadError."""
    return _tokenizer(settings, _source(settings))


def load_image_processor(settings: Settings) -> Any:
    """Return the checkpoint's image processor. Raise LoadError."""
    return image_processor(settings, _source(settings))


def load_processor(settings: Settings, config: Any) -> Any:
    """Return a processor with `tokenizer`, `image_processor` and `chat_template`. Raise LoadError."""
    source = _source(settings)
    if settings.is_folder and settings.weights == "dummy" and not _has_tokenizer(settings.model):
        from backends.hf_server.families.synthetic import synthetic_processor

        logger.warning("%s has no tokenizer: using a byte-level stand-in, fit for speed only", settings.model)
        return synthetic_processor(settings, config, source)
    processor = _own_processor(settings, source)
    if processor is None:
        processor = image_only_processor(settings, config, _tokenizer(settings, source), source)
    if not getattr(processor, "chat_template", None):
        processor.chat_template = processor.tokenizer.chat_template
    return processor


def _source(settings: Settings) -> dict[str, Any]:
    """Return keyword arguments for `from_pretrained`: local files or a revision, and whether remote code is run."""
    where = {"local_files_only": True} if settings.is_folder else {"revision": settings.revision}
    return {**where, "trust_remote_code": settings.trust_remote_code}


def _own_processor(settings: Settings, source: dict[str, Any]) -> Any:
    """Return the processor that AutoProcessor loads; None if that can't process images."""
    from transformers import AutoProcessor

    with_torchvision = importlib.util.find_spec("torchvision") is not None
    try:
        processor = AutoProcessor.from_pretrained(settings.model, **source)
    except (ImportError, OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        if with_torchvision:
            raise LoadError(f"{settings.model}: the processor can't be loaded: {error}") from error
        logger.info(
            "AutoProcessor failed without torchvision (%s): building a processor for images", type(error).__name__
        )
        return None
    if getattr(processor, "image_processor", None) is not None and getattr(processor, "tokenizer", None) is not None:
        return processor
    logger.info("AutoProcessor returned only a %s: building a processor for images", type(processor).__name__)
    return None


def _tokenizer(settings: Settings, source: dict[str, Any]) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(settings.model, **source)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise LoadError(f"{settings.model}: the tokenizer can't be loaded: {error}") from error


def _has_tokenizer(folder: str) -> bool:
    return any((Path(folder) / name).is_file() for name in TOKENIZER_FILES)
