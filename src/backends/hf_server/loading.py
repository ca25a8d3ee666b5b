"""Loads a checkpoint until the model is ready to answer: configuration, processor, weights, warm-up."""

from __future__ import annotations

import dataclasses
import gc
import io
import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from backends.chat_server.errors import LoadError
from backends.chat_server.protocol import ChatMessage, ChatRequest, Sampling
from backends.hf_server.configuration import load_config
from backends.hf_server.families import DirectFamily, Family, family_class
from backends.hf_server.generation import generate
from backends.hf_server.loaded import Loaded
from backends.hf_server.memory_limit import limit_memory
from backends.hf_server.settings import Settings
from backends.hf_server.weights import build_model, check_packages

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


def load(settings: Settings, report: Report) -> Loaded:
    """Load the model and its family. `report` is called with the name of each step. Raise LoadError."""
    clock = _Clock(report)
    check_packages(settings)
    clock.step("reading the configuration")
    device = choose_device(settings.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # kernels of other packages run on the current device
    if settings.memory_limit_gib is not None:
        limit_memory(settings.memory_limit_gib, device)
    config = load_config(settings)
    clock.step("loading the processor")
    family = family_class(settings.family, config)(settings, config)
    clock.step(f"loading the weights of {settings.model}" if settings.weights == "real" else "drawing random weights")
    model = build_model(settings, config, family.model_class(), device)
    loaded = _finish(settings, model, family, device)
    clock.step("warming up")
    warm_up(loaded)
    clock.step("ready")
    return dataclasses.replace(loaded, load_s=clock.total, steps_s=clock.steps)


class _Clock:
    """Measures the steps of loading, and reports the current one."""

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
    """Return the device that `--device` names; `auto` takes a GPU if there is one. Raise LoadError."""
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


def _finish(settings: Settings, model: Any, family: Family, device: torch.device) -> Loaded:
    """Read the end-of-turn tokens from the generation configuration, and remove its sampling defaults."""
    from transformers import GenerationConfig

    if isinstance(family, DirectFamily):  # it has its own windows, and its answers have no end-of-turn token
        return Loaded(settings, model, family, device, model.dtype, (), 0, None)
    own = model.generation_config
    tokenizer = family.tokenizer
    stated = own.eos_token_id if isinstance(own.eos_token_id, list) else [own.eos_token_id]
    eos = dict.fromkeys(token for token in (*stated, tokenizer.eos_token_id) if token is not None)
    pad = next((token for token in (tokenizer.pad_token_id, own.pad_token_id, *eos) if token is not None), 0)
    # `generate` takes each value that is None in a request from here: sampling defaults of the checkpoint, banned
    # words, forced tokens. Only the tokens that begin a text belong to the model, so only these are kept.
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, decoder_start_token_id=own.decoder_start_token_id
    )
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Loaded(settings, model, family, device, model.dtype, tuple(eos), pad, context)


def warm_up(loaded: Loaded) -> None:
    """Answer a request, so that compressed weights are unpacked and kernels selected before a measurement begins.

    The request has an image if the model takes images, so that a vision tower that can't run here fails now and not at
    every request.
    """
    sampling = Sampling(temperature=0.0)
    request = ChatRequest(messages=(ChatMessage("user", ("Hello",)),), sampling=sampling)
    if loaded.family.takes_images:
        stream = io.BytesIO()
        Image.new("RGB", (112, 112), "white").save(stream, "PNG")
        request = ChatRequest(
            messages=(ChatMessage("user", (0, "Hello")),), images=(stream.getvalue(),), sampling=sampling
        )
    try:
        prepared = loaded.family.prepare(request)
        if isinstance(loaded.family, DirectFamily):
            loaded.family.answer(loaded.model, prepared, request.sampling)
            return
        generate(loaded, loaded.family.collate([prepared]), request.sampling, max_new_tokens=2)
    except Exception as error:
        message = f"{loaded.settings.model}: the model is loaded and can't answer: {type(error).__name__}: {error}"
        raise LoadError(message) from error
    gc.collect()
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(loaded.device)
