"""A checkpoint to a model that is ready to answer: configuration, processor, weights, warm-up."""

from __future__ import annotations

import gc
import importlib.util
import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from backends.hf_server.configuration import load_config
from backends.hf_server.errors import LoadError
from backends.hf_server.families import Family, family_class
from backends.hf_server.protocol import ChatMessage, ChatRequest
from backends.hf_server.settings import Settings

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in its final place. `context_tokens` bounds prompt and answer together; None where it isn't stated."""

    settings: Settings
    model: Any
    family: Family
    device: torch.device
    dtype: torch.dtype
    eos_ids: tuple[int, ...]
    pad_id: int
    context_tokens: int | None
    load_s: float = 0.0
    steps_s: dict[str, float] = field(default_factory=dict)


def load(settings: Settings, report: Report) -> Loaded:
    """Load everything that answering needs. `report` hears what is going on. Raises LoadError."""
    clock = _Clock(report)
    _check_packages(settings)
    clock.step("reading the configuration")
    device = choose_device(settings.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # kernels outside torch launch on the current device
    config = load_config(settings)
    clock.step("loading the processor")
    family = family_class(settings.family, config)(settings, config)
    clock.step(f"loading the weights of {settings.model}" if settings.weights == "real" else "drawing random weights")
    model = build_model(settings, config, family.model_class(), device)
    loaded = _finish(settings, model, family, device)
    clock.step("warming up")
    warm_up(loaded)
    clock.step("ready")
    return Loaded(
        **{name: getattr(loaded, name) for name in Loaded.__slots__[:8]}, load_s=clock.total, steps_s=clock.steps
    )


class _Clock:
    """Times the steps of loading and says which one runs."""

    def __init__(self, report: Report):
        self._report = report
        self._start = self._last = time.perf_counter()
        self._name = ""
        self.steps: dict[str, float] = {}

    def step(self, name: str) -> None:
        now = time.perf_counter()
        if self._name:
            self.steps[self._name] = now - self._last
        self._name, self._last = name, now
        self._report(name)

    @property
    def total(self) -> float:
        return self._last - self._start


def choose_device(name: str) -> torch.device:
    """Return the device that `--device` names; `auto` takes a GPU where there is one. Raises LoadError."""
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LoadError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        device = torch.device("cuda", device.index or 0)
        if device.index >= count:
            raise LoadError(f"--device {name}: torch {torch.__version__} sees {count} CUDA devices here")
    return device


def build_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    """Return the model on its device, in evaluation mode, with the adapter where one is asked for."""
    if settings.weights == "dummy":
        from backends.hf_server.dummy import dummy_model

        return dummy_model(settings, config, model_class, device)
    model = _real_model(settings, config, model_class, device)
    if settings.adapter is not None:
        model = _with_adapter(model, settings.adapter)
    return model.eval()


def dtype_option(dtype: Any) -> dict[str, Any]:
    """Return the argument for the weights' dtype: `dtype` from transformers 4.56 on, before that `torch_dtype`."""
    import transformers

    major, minor = (int(part) for part in transformers.__version__.split(".")[:2])
    return {"dtype" if (major, minor) >= (4, 56) else "torch_dtype": dtype}


def _real_model(settings: Settings, config: Any, model_class: Any, device: torch.device) -> Any:
    options: dict[str, Any] = {
        **dtype_option(settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)),
        "config": config,
        "attn_implementation": settings.attention,
        "trust_remote_code": settings.trust_remote_code,
        "output_loading_info": True,
        "local_files_only": settings.is_folder,
    }
    if settings.revision is not None:
        options["revision"] = settings.revision
    if settings.quantization != "none":
        options["quantization_config"] = _bitsandbytes(settings)
    # With a device map the weights go straight to the GPU; it takes accelerate, without which they pass the CPU.
    mapped = (device.type != "cpu" and _installed("accelerate")) or settings.quantization != "none"
    if mapped:
        options["device_map"] = {"": str(device)}
    try:
        model, found = model_class.from_pretrained(settings.model, **options)
    except Exception as error:  # safetensors, accelerate and quantisers have exceptions of their own
        raise LoadError(f"{settings.model}: the weights can't be loaded: {error}") from error
    if missing := sorted(found.get("missing_keys", ())):
        raise LoadError(
            f"{settings.model}: the checkpoint lacks {len(missing)} weights of the architecture in its config.json "
            f"({', '.join(missing[:3])}, ...); they would be random. Is it complete, or is --config-override wrong?"
        )
    return model if mapped else model.to(device)


def _bitsandbytes(settings: Settings) -> Any:
    from transformers import BitsAndBytesConfig

    if settings.quantization == "bnb_int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = torch.bfloat16 if settings.dtype == "auto" else getattr(torch, settings.dtype)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute)


def _with_adapter(model: Any, path: str) -> Any:
    from peft import PeftModel  # type: ignore[import-not-found,unused-ignore]

    try:
        model = PeftModel.from_pretrained(model, path)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise LoadError(f"--adapter {path}: can't be loaded onto the model: {error}") from error
    # Merged, an adapter costs nothing at run time; into quantised weights it can't be merged without loss.
    if getattr(model.config, "quantization_config", None) is None:
        return model.merge_and_unload()
    return model


def _finish(settings: Settings, model: Any, family: Family, device: torch.device) -> Loaded:
    """Take what ends an answer out of the generation configuration, and leave none of its sampling in force."""
    from transformers import GenerationConfig

    own = model.generation_config
    tokenizer = family.tokenizer
    stated = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    eos = dict.fromkeys(token for token in (*stated, tokenizer.eos_token_id) if token is not None)
    pad = next((token for token in (tokenizer.pad_token_id, own.pad_token_id, *eos) if token is not None), 0)
    # `generate` fills every value that a request leaves at None from here: sampling defaults of the checkpoint, banned
    # words, forced tokens. Only what marks the beginning of a text belongs to the model.
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, decoder_start_token_id=own.decoder_start_token_id
    )
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Loaded(settings, model, family, device, model.dtype, tuple(eos), pad, context)


def warm_up(loaded: Loaded) -> None:
    """Answer once, so that compressed weights are unpacked and kernels chosen before anything is measured.

    With an image: a vision tower that can't run here must fail now and not at every request.
    """
    from backends.hf_server.generation import generate

    stream = io.BytesIO()
    Image.new("RGB", (112, 112), "white").save(stream, "PNG")
    request = ChatRequest(messages=(ChatMessage("user", (0, "Hello")),), images=(stream.getvalue(),))
    try:
        prepared = loaded.family.prepare(request)
        generate(loaded, loaded.family.collate([prepared]), request.sampling, max_new_tokens=2)
    except Exception as error:
        message = f"{loaded.settings.model}: the model is loaded and can't answer: {type(error).__name__}: {error}"
        raise LoadError(message) from error
    gc.collect()
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(loaded.device)


def _check_packages(settings: Settings) -> None:
    """Refuse what can't work here before time is spent on loading."""
    wanted = []
    if settings.adapter is not None:
        wanted.append(("peft", "--adapter"))
        if settings.weights == "dummy":
            raise LoadError("--adapter has no meaning with --weights dummy; leave one of them out")
    if settings.quantization != "none":
        wanted += [("bitsandbytes", f"--quantization {settings.quantization}"), ("accelerate", "--quantization")]
        if settings.weights == "dummy":
            raise LoadError("--weights dummy can't be quantised with bitsandbytes; leave --quantization out")
    if settings.attention == "flash_attention_2":
        wanted.append(("flash_attn", "--attention flash_attention_2"))
    for package, flag in wanted:
        if not _installed(package):
            raise LoadError(f"{flag} needs the package {package}, which this environment lacks: install it there")
    if settings.adapter is not None and _is_path(settings.adapter) and not Path(settings.adapter).is_dir():
        raise LoadError(f"--adapter {settings.adapter}: there is no such folder")


def _is_path(name: str) -> bool:
    return name.startswith(("/", ".", "~")) or name.count("/") > 1


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
