"""What a model's file says of itself, checked before an engine starts: who can run it, on what, with which adapter."""

from __future__ import annotations

import json
from typing import Any

from backends.api import Backend
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.model import DTYPES
from runner.datasets.api import Dataset
from runner.datasets.opening import places

MOVING = ("hf", "vllm")  # that read a sequence of JPEG frames as a video
PICTURES_ALONE = ("openai", "litellm", "llama_cpp")
OUR_ENGINES = ("hf", "vllm", "sglang", "ocr")  # of which a model's file says whether they can run it


def refuse_unsupported(config: Config) -> None:
    """Refuse a model that no engine can run, or not this one, before anything else is said of it."""
    model, backend = config.model, config.backend.name
    if model.unsupported:
        raise Refused(
            Problem(f"not supported: {model.unsupported}", f"model={model.name}", "docs/models.md has others")
        )
    if model.backends and backend in OUR_ENGINES and backend not in model.backends:
        what = f"model={model.name} does not run on backend={backend}"
        raise Refused(Problem(what, f"backend={backend}", f"it runs on: {', '.join(model.backends)}"))


def shows_videos(config: Config) -> bool:
    """Whether videos are sent as moving pictures. Raise Refused for a backend of ours that takes none."""
    if config.dataset.video_as != "video":
        return False
    if config.backend.name not in MOVING and config.backend.name in (*OUR_ENGINES, *PICTURES_ALONE):
        what = f"backend={config.backend.name} is not sent videos as such"
        raise Refused(Problem(what, "dataset.video_as", f"dataset.video_as=pictures; video with: {', '.join(MOVING)}"))
    return True


def pictures(config: Config, dataset: Dataset) -> None:
    """Refuse pictures for a model that can't see them unless their text is read, and that where it is not wanted."""
    model, prompt = config.model, config.prompt
    if config.backend.name == "ocr" and prompt.ocr:
        what = f"model={model.name} is an OCR program, and what stands in the prompt is not read"
        raise Refused(Problem(what, "prompt.ocr", "leave it out"))
    if config.backend.name == "ocr" and not any(sample.images for sample in dataset):
        where = "dataset.blind" if config.dataset.blind == "no_image" else "dataset"
        what = f"model={model.name} is an OCR program, and there is no picture that it could read"
        raise Refused(Problem(what, where, "run it on pictures, apart from models that are asked without"))
    _one_page_for_boxes(config, dataset)
    if model.family == "document_qa" and prompt.ocr:
        what = f"model={model.name} reads pages by itself, and takes what stands in the prompt for the question"
        raise Refused(Problem(what, "prompt.ocr", "leave it out; models of text alone choose it themselves"))
    if model.images or prompt.ocr or not any(sample.images for sample in dataset):
        return
    what = f"model={model.name} takes text alone, and the samples have pictures"
    raise Refused(Problem(what, "prompt.ocr", "prompt.ocr=tesseract reads their text into the prompt"))


def _one_page_for_boxes(config: Config, dataset: Dataset) -> None:
    """Refuse questions with several pictures for an OCR program with boxes: no box says on which page it is."""
    given = (config.model.engine_args.get("ocr") or {}) | config.backend.engine_args
    if config.backend.name != "ocr" or given.get("boxes", "none") == "none":
        return
    if several := [sample.id for sample in dataset if len(sample.images) > 1]:
        where = places(config.dataset, paths.root(), several[:1])
        more = f", and {len(several) - 1} others have" if len(several) > 1 else " has"
        what = f"sample {several[0]!r}{more} several pictures, and a box would not say on which one it is"
        remedy = "give each page a question of its own, or backend.engine_args.boxes=none"
        raise Refused(Problem(what, where.get(several[0], "backend.engine_args.boxes"), remedy))


def dtype(config: Config) -> str:
    """Return the number format that an engine is told. Raise Refused for float16 where the model overflows in it.

    Where the checkpoint's own would be taken and that may be float16, such a model is computed in bfloat16.
    """
    name, quant = config.backend.name, config.quant
    asked = config.backend.dtype or quant.dtype_for.get(name) or quant.dtype
    where = "backend.dtype" if config.backend.dtype else f"quant={quant.name}"
    if asked not in DTYPES:
        raise Refused(
            Problem(f"{asked} is no type of number", f"{where}, dtype_for.{name}", f"one of: {', '.join(DTYPES)}")
        )
    why = config.model.no_float16.get(name)
    if why is None:
        return asked
    if asked == "float16":
        others = [other for other in config.model.backends if other not in config.model.no_float16]
        remedy = "quant=bf16" + "".join(f", or backend={other}" for other in others)
        what = f"backend={name} would compute model={config.model.name} in float16, where {why}"
        raise Refused(Problem(what, where, remedy))
    return "bfloat16" if asked == "auto" else asked


def settings(config: Config) -> None:
    """Check settings of a model against each other."""
    model, problems = config.model, []
    if model.trust_remote_code and not model.why_remote_code:
        problems.append(
            Problem(
                "this model runs code from its repository, and its file doesn't say why",
                "model.trust_remote_code",
                "set model.why_remote_code to the reason, so that a reviewer can judge it",
            )
        )
    if model.config_override and model.weights != "dummy":
        problems.append(
            Problem("real weights don't fit a changed architecture", "model.config_override", "model.weights=dummy")
        )
    if model.adapter:
        try:
            kind = _adapter_config(model.adapter).get("peft_type")
        except Refused as refused:
            problems.extend(refused.problems)
            kind = "LORA"
        if kind != "LORA":
            problems.append(Problem(f"{model.adapter} is an adapter of type {kind}", "model.adapter", "LoRA is served"))
        if model.weights == "dummy":
            problems.append(Problem("an adapter has no meaning on random weights", "model.adapter", "leave one out"))
    if problems:
        raise Refused(problems)


def _adapter_config(adapter: str) -> dict[str, Any]:
    """Read what PEFT says of an adapter. Raise Refused where there is none."""
    file = paths.resolve(adapter) / "adapter_config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        what, remedy = f"there is no adapter_config.json in {adapter}", "the folder of a LoRA adapter as PEFT saves it"
        raise Refused(Problem(what, "model.adapter", remedy)) from error
    except ValueError as error:
        raise Refused(Problem(f"{file} is not JSON: {error}", "model.adapter")) from error
    return dict(config)


def adapter_rank(adapter: str, server: Backend) -> int | None:
    """Return the largest rank within a LoRA adapter, for a server that has to be told."""
    if not getattr(server, "needs_adapter_rank", False):
        return None
    config = _adapter_config(adapter)
    return max(int(rank) for rank in (config.get("r", 8), *(config.get("rank_pattern") or {}).values()))
