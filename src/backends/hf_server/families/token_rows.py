"""Joins rows of tokens of different lengths into a batch, padded on the left, because answers continue on the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backends.hf_server.families import Prepared

# Inputs that are (batch, tokens).
TOKEN_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")


def joined_tokens(batch: Sequence[Prepared], pad_id: int) -> dict[str, Any]:
    """Return the token inputs of several requests as (batch, tokens)."""
    width = max(prepared.prompt_tokens for prepared in batch)
    return {
        name: torch.cat(
            [_pad_left(prepared.inputs[name], width, pad_id if name == "input_ids" else 0) for prepared in batch]
        )
        for name in TOKEN_INPUTS
        if name in batch[0].inputs
    }


def _pad_left(rows: Any, width: int, fill: int) -> Any:
    return torch.nn.functional.pad(rows, (width - rows.shape[1], 0), value=fill)
