"""BLEURT from a checkpoint converted to RemBERT (tools/convert_bleurt.py): one number for (reference, candidate)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers

from metrics.workers.api import Item, Unavailable
from metrics.workers.loading import device, load, versions


def run(options: Mapping[str, Any], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Yield {index, value} for items {reference, candidate}; longer pairs are cut at `max_length` tokens."""
    config = load(transformers.AutoConfig, options)
    if config.model_type != "rembert":
        raise Unavailable(
            f"model {options['model']!r} is of type {config.model_type}, not rembert: convert it with"
            " python tools/convert_bleurt.py SOURCE TARGET and set model to TARGET"
        )
    tokenizer = load(transformers.AutoTokenizer, options)
    model = load(transformers.RemBertForSequenceClassification, options).to(device()).eval()
    yield {"version": versions(model)}
    # Pairs of like length share a batch, so that little is padding.
    order = sorted(range(len(items)), key=lambda at: len(items[at]["reference"]) + len(items[at]["candidate"]))
    for start in range(0, len(order), options["batch_size"]):
        chosen = order[start : start + options["batch_size"]]
        for index, value in zip(chosen, _values(model, tokenizer, [items[at] for at in chosen], options), strict=True):
            finite = {"index": index, "value": value}
            yield finite if math.isfinite(value) else {"index": index, "reason": f"the model returned {value}"}
        yield {"progress": (start + len(chosen)) / len(order)}


def _values(model: Any, tokenizer: Any, items: Sequence[Item], options: Mapping[str, Any]) -> list[float]:
    encoded = tokenizer(
        [item["reference"] for item in items],  # the order that BLEURT was trained with: reference first
        [item["candidate"] for item in items],
        padding=True,
        truncation="longest_first",
        max_length=options["max_length"],
        return_tensors="pt",
    ).to(model.device)
    with torch.inference_mode():
        return [float(value) for value in model(**encoded).logits[:, 0].float()]
