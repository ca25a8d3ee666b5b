"""Asks a demo model through stock transformers and scores its answers.

`AutoProcessor` for Qwen2-VL needs torchvision for videos, so the processor here is the stock one without
its video part.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
)

MAX_ANSWER_TOKENS = 16
BOOTSTRAP_ROUNDS = 2000


@dataclass(frozen=True)
class Question:
    """One question about one page, with its reference."""

    document: str
    page: np.ndarray
    prompt: str
    reference: str
    doc_class: str
    field: str


class ImageOnlyProcessor(Qwen2VLProcessor):
    """Stock Qwen2-VL processor without the video processor."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs) -> None:
        """Pass everything on, with no video processor."""
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template, **kwargs)

    def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
        """Accept the missing video processor, check the rest as usual."""
        return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)


class Reader:
    """A loaded checkpoint that answers questions greedily."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        """Load one variant of one demo model; `dtype` is that of the computation."""
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        images = Qwen2VLImageProcessorPil.from_pretrained(folder)
        self.processor = ImageOnlyProcessor(images, tokenizer, chat_template=tokenizer.chat_template)
        self.model: PreTrainedModel = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()

    @torch.inference_mode()
    def answer(self, questions: list[Question], system: str = "", batch_size: int = 32) -> list[str]:
        """Answer all questions in batches with left padding."""
        answers: list[str] = []
        # Prompts of similar length share a batch: less padding.
        order = sorted(range(len(questions)), key=lambda index: len(questions[index].prompt))
        for start in range(0, len(order), batch_size):
            answers += self._answer_batch([questions[index] for index in order[start : start + batch_size]], system)
        return [answer for _, answer in sorted(zip(order, answers, strict=True))]

    def _answer_batch(self, questions: list[Question], system: str) -> list[str]:
        opening = [{"role": "system", "content": system}] if system else []
        texts = [
            self.processor.apply_chat_template(
                [
                    *opening,
                    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.prompt}]},
                ],
                add_generation_prompt=True,
            )
            for question in questions
        ]
        pages = [Image.fromarray(question.page).convert("RGB") for question in questions]
        inputs = self.processor(text=texts, images=pages, padding=True, return_tensors="pt")
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        tokens = self.model.generate(**inputs, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        return self.processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def swap_pages(questions: list[Question]) -> list[Question]:
    """Give every question the page of the next document of its class: a control that must fail."""
    pages: dict[str, dict[str, np.ndarray]] = {}
    for question in questions:
        pages.setdefault(question.doc_class, {})[question.document] = question.page
    swapped = []
    for question in questions:
        documents = list(pages[question.doc_class])
        other = documents[(documents.index(question.document) + 1) % len(documents)]
        values = vars(question) | {"page": pages[question.doc_class][other]}
        swapped.append(Question(**values))
    return swapped


def edit_distance(first: str, second: str) -> int:
    """Count the insertions, deletions and substitutions between two texts."""
    previous = list(range(len(second) + 1))
    for row, character in enumerate(first, 1):
        current = [row]
        for column, other in enumerate(second, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (character != other)))
        previous = current
    return previous[-1]


def _interval(questions: list[Question], values: list[float]) -> list[float]:
    """Bootstrap a 95% interval of the mean over documents: the questions of one document are not independent."""
    by_document: dict[str, list[float]] = {}
    for question, value in zip(questions, values, strict=True):
        by_document.setdefault(question.document, []).append(value)
    means = [sum(group) / len(group) for group in by_document.values()]
    rng = random.Random(0)
    rounds = sorted(sum(rng.choices(means, k=len(means))) / len(means) for _ in range(BOOTSTRAP_ROUNDS))
    return [round(rounds[int(share * (BOOTSTRAP_ROUNDS - 1))], 4) for share in (0.025, 0.975)]


def score(questions: list[Question], answers: list[str]) -> dict[str, object]:
    """Score exact match with its interval, and the corpus character error rate."""
    pairs = [(answer, question.reference) for question, answer in zip(questions, answers, strict=True)]
    right = [float(answer == reference) for answer, reference in pairs]
    edits = sum(edit_distance(answer, reference) for answer, reference in pairs)
    return {
        "questions": len(questions),
        "exact_match": round(sum(right) / len(right), 4),
        "exact_match_95": _interval(questions, right),
        "cer": round(edits / sum(len(reference) for _, reference in pairs), 4),
    }


def paired_difference(questions: list[Question], before: list[str], after: list[str]) -> dict[str, object]:
    """Compare two sets of answers to the same questions: difference of exact match, and how many answers changed."""
    gains = [
        float(new == question.reference) - float(old == question.reference)
        for question, old, new in zip(questions, before, after, strict=True)
    ]
    return {
        "questions": len(questions),
        "changed": sum(old != new for old, new in zip(before, after, strict=True)),
        "difference": round(sum(gains) / len(gains), 4),
        "difference_95": _interval(questions, gains),
    }
