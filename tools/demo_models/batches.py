"""Makes training batches: drawn documents as patches, character targets, and worded questions as tokens.

A batch depends on the seed and its step only, so an interrupted training continues with the batches it would have had.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Qwen2Tokenizer

from demo_models.drawing import CHARACTERS, Document, draw_document
from demo_models.network import IMAGE_COLUMNS, IMAGE_ROWS, IMAGE_TOKENS, MERGED, PATCH, SLOTS, Geometry, TrainingNetwork
from demo_models.wordings import SYSTEM_SHARE, SYSTEM_TEXT, WORDING_SHARES, ask, draw_short_wording

QUESTIONS_PER_DOCUMENT = 4
# Longest question and answer in tokens, without and with an example: two lengths, so that the usual batch stays small.
_SHORT, _LONG = 24, 34
_CLASS_OF = {character: index + 1 for index, character in enumerate(CHARACTERS)}


@dataclass(frozen=True)
class Batch:
    """One training step's input."""

    patches: torch.Tensor
    characters: torch.Tensor
    questions: torch.Tensor
    labels: torch.Tensor
    geometry: Geometry


def grey_patches(pages: np.ndarray) -> np.ndarray:
    """Cut pages (batch, 112, 336) into patches (batch, 192, 196), in the order in which Qwen2-VL merges them."""
    grid = pages.astype(np.float32).reshape(-1, IMAGE_ROWS, 2, PATCH, IMAGE_COLUMNS, 2, PATCH) / 255
    return np.ascontiguousarray(grid.transpose(0, 1, 4, 2, 5, 3, 6)).reshape(len(pages), 4 * IMAGE_TOKENS, PATCH**2)


def character_targets(document: Document) -> np.ndarray:
    """List for each merged token the characters whose centre lies in it: two slots for each of its halves."""
    targets = np.zeros((IMAGE_ROWS * IMAGE_COLUMNS * 2, SLOTS // 2), np.int64)
    used = [0] * len(targets)
    for placed in document.characters:
        half = placed.y // MERGED * IMAGE_COLUMNS * 2 + int(placed.x // PATCH)
        if used[half] < targets.shape[1]:
            targets[half, used[half]] = _CLASS_OF[placed.character]
            used[half] += 1
    return targets.reshape(IMAGE_TOKENS, SLOTS)


class BatchMaker:
    """Draws the batch of any training step."""

    def __init__(
        self,
        network: TrainingNetwork,
        tokenizer: Qwen2Tokenizer,
        batch_size: int,
        seed: int,
        invented: tuple[tuple[int, float], ...],
    ) -> None:
        """Prepare for training; `invented` lists (from step, share of invented names)."""
        self.batch_size, self.seed, self.invented = batch_size, seed, invented
        self._tokenizer = tokenizer
        self._known: dict[str, list[int]] = {}
        self._turn_end = self._ids("<|im_end|>\n<|im_start|>assistant\n")
        self._stop = self._ids("<|im_end|>")
        suffix = self._ids("<|vision_end|>")
        openings = {
            False: "<|im_start|>user\n<|vision_start|>",
            True: f"<|im_start|>system\n{SYSTEM_TEXT}<|im_end|>\n<|im_start|>user\n<|vision_start|>",
        }
        self._geometry = {
            (system, length): network.geometry(self._ids(opening), suffix, length)
            for system, opening in openings.items()
            for length in (_SHORT, _LONG)
        }

    def make(self, step: int) -> Batch:
        """Draw the batch of one step."""
        rng = random.Random(f"{self.seed}/{step}")
        invented = next(share for start, share in reversed(self.invented) if step >= start)
        documents = [draw_document(rng, "train", invented=invented) for _ in range(self.batch_size)]
        # System text and examples are drawn per batch, not per document: all documents share one geometry.
        system = rng.random() < SYSTEM_SHARE
        detailed = rng.random() < WORDING_SHARES["detailed"]
        length = _LONG if detailed else _SHORT
        shape = (self.batch_size, QUESTIONS_PER_DOCUMENT, length)
        questions = np.full(shape, self._tokenizer.pad_token_id, np.int64)
        labels = np.full(shape, -1, np.int64)
        for row, document in enumerate(documents):
            for column, (field, value) in enumerate(document.fields.items()):
                wording = "detailed" if detailed else draw_short_wording(rng)
                asked = self._ids(ask(wording, document.doc_class, field)) + self._turn_end
                # Answers are spelt letter by letter, also where the tokenizer knows a longer piece.
                answer = [token for character in value for token in self._ids(character)] + self._stop
                end = len(asked) + len(answer)
                questions[row, column, :end] = asked + answer
                labels[row, column, len(asked) - 1 : end - 1] = answer
        return Batch(
            torch.from_numpy(grey_patches(np.stack([document.pixels for document in documents]))),
            torch.from_numpy(np.stack([character_targets(document) for document in documents])),
            torch.from_numpy(questions),
            torch.from_numpy(labels),
            self._geometry[system, length],
        )

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self._tokenizer(text)["input_ids"]
        return self._known[text]
