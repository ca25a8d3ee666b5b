"""Perplexity with any causal language model: exp(mean negative log-likelihood of tokens 2..n), no BOS, per text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers

from metrics.workers.api import Item
from metrics.workers.loading import device, load, versions

FEWEST = 2  # the first token has nothing before it to be predicted from


def windows(tokens: int, window: int) -> Iterator[tuple[int, int, int]]:
    """Yield (begin, end, first): tokens first..end-1 are scored with the context from `begin` on.

    Each token from the second on is scored once. After the first window each has a context of at least half a window.
    """
    end = min(tokens, window)
    yield 0, end, 1
    while end < tokens:
        scored, end = end, min(end + max(1, window // 2), tokens)
        yield end - window, end, scored


def run(options: Mapping[str, Any], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Yield {index, nll, tokens}: the summed negative log-likelihood (nats) of `tokens` scored tokens."""
    tokenizer = load(transformers.AutoTokenizer, options)
    model = load(transformers.AutoModelForCausalLM, options).to(device()).eval()
    yield {"version": versions(model)}
    longest = getattr(model.config, "max_position_embeddings", None) or options["window"]
    window = max(FEWEST, min(options["window"], longest))
    pieces: list[tuple[int, list[int], int]] = []
    sums: dict[int, list[float]] = {}
    for index, item in enumerate(items):
        ids = tokenizer(item["text"], add_special_tokens=False, verbose=False)["input_ids"]
        if len(ids) < FEWEST:
            yield {"index": index, "reason": f"{len(ids)} tokens: perplexity needs two"}
            continue
        cut = list(windows(len(ids), window))
        sums[index] = [0.0, len(ids) - 1, len(cut)]
        pieces += [(index, ids[begin:end], first - begin) for begin, end, first in cut]
    pieces.sort(key=lambda piece: len(piece[1]))
    done = 0
    for batch in _batches(pieces, options["batch_tokens"]):
        for (index, _, _), nll in zip(batch, _likelihoods(model, batch), strict=True):
            sums[index][0] += nll
            sums[index][2] -= 1
            if not sums[index][2]:
                total, tokens, _ = sums[index]
                finite = {"index": index, "nll": total, "tokens": tokens}
                yield finite if math.isfinite(total) else {"index": index, "reason": f"the model returned {total}"}
        done += len(batch)
        yield {"progress": done / len(pieces)}


def _batches(
    pieces: Sequence[tuple[int, list[int], int]], tokens: int
) -> Iterator[Sequence[tuple[int, list[int], int]]]:
    """Yield batches of pieces, sorted by length, with at most about `tokens` tokens including padding."""
    batch: list[tuple[int, list[int], int]] = []
    for piece in pieces:
        if batch and (len(batch) + 1) * len(piece[1]) > tokens:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _likelihoods(model: Any, batch: Sequence[tuple[int, list[int], int]]) -> list[float]:
    """Return the summed negative log-likelihood of each piece's tokens from its `first` on."""
    length = max(len(ids) for _, ids, _ in batch)
    tokens = torch.zeros(len(batch), length, dtype=torch.long)
    attended, scored = torch.zeros_like(tokens), torch.zeros(len(batch), length, dtype=torch.bool)
    for row, (_, ids, first) in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        attended[row, : len(ids)] = 1
        scored[row, first : len(ids)] = True
    tokens, attended, scored = tokens.to(model.device), attended.to(model.device), scored.to(model.device)
    # Padding stands on the right, where causal attention never looks.
    with torch.inference_mode():
        logits = model(input_ids=tokens, attention_mask=attended, use_cache=False).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    return [float(value) for value in (losses.double() * scored[:, 1:]).sum(dim=1)]
