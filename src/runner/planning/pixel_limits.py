"""Refuses a limit on pixels that a checkpoint's image processor doesn't know, by the table conf/pixel_limits.yaml.

The HF engine refuses such a limit when it starts. vLLM and SGLang drop it without a word, and a comparison of
resolutions would compare equal pictures.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.planning import checkpoints, hub, hub_check
from runner.planning.checkpoints import Checkpoint

log = logging.getLogger(__name__)
FILE = "pixel_limits.yaml"
_FILES = ("preprocessor_config.json", "processor_config.json")
ENGINES = ("hf", "vllm", "sglang")


def refuse(config: Config, checkpoint: Checkpoint | None) -> None:
    """Raise Refused for model.min_pixels or max_pixels that would have no effect, or another than they say."""
    key = next((f"model.{name}" for name in ("max_pixels", "min_pixels") if getattr(config.model, name)), None)
    name = config.backend.name
    if key is None or checkpoint is None or name not in ENGINES or config.backend.base_url or not config.model.images:
        return
    processor = _processor(checkpoint, fetch=config.stage != "score" and hub_check.is_here(config))
    kind = _kinds(paths.conf_dir() / FILE).get(_plain(processor))
    if kind == "none":
        what = f"this checkpoint's image processor ({processor}) has no limits on the area of a picture"
        raise Refused(Problem(what, key, f"leave it out ({key}=null)"))
    if kind == "volume" and name != "hf":
        what = (
            f"this checkpoint's image processor ({processor}) counts frames, too, and backend={name} can't be told so"
        )
        raise Refused(Problem(what, key, "backend=hf, which converts it; or leave it out"))
    if kind is None and processor and name != "hf":  # which refuses by itself what a processor doesn't know
        log.warning("%s: whether %s follows it on backend=%s is not known; compare image tokens", key, processor, name)


def _processor(checkpoint: Checkpoint, *, fetch: bool) -> str:
    """Return the class of a checkpoint's image processor; empty where its files, of the hub if `fetch`, don't say."""
    for file in _FILES:
        values = checkpoints.read_json(checkpoint.location, checkpoint.revision, file)
        if not values and checkpoint.revision and fetch:
            values = _fetched(checkpoint.location, checkpoint.revision, file)
        values = values.get("image_processor") or values
        if isinstance(values, Mapping) and (named := values.get("image_processor_type")):
            return str(named)
    return ""


@functools.cache
def _fetched(name: str, revision: str, file: str) -> dict[str, Any]:
    """Fetch one small file of a hub model into the cache, where the engine would put it, too; empty where it isn't had.

    The hub is asked first whether it gives the file, once and for seconds: a download alone is tried again for minutes
    where nobody answers (huggingface_hub 2.4.0, file_download.py:1171).
    """
    from huggingface_hub import hf_hub_download

    if not hub.gives(name, revision, file):
        return {}
    try:
        hf_hub_download(name, file, revision=revision)
    except Exception as error:  # noqa: BLE001 - its HTTP library has changed twice, and nothing depends on this
        log.debug("%s of %s: %s", file, name, error)
        return {}
    return checkpoints.read_json(name, revision, file)


def _plain(processor: str) -> str:
    return processor.removesuffix("Fast").removesuffix("Pil")


@functools.lru_cache(maxsize=4)
def _kinds(file: Path) -> Mapping[str, str]:
    """Return the kind of each known image processor; empty for a folder of configs without the table."""
    if not file.is_file():
        return {}
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: kind for kind, names in content.items() for name in names}
