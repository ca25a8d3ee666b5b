"""Extractive document question answering: LayoutLMv2, LayoutLMv3 or LayoutXLM selects the words that answer a question.

Tesseract reads the words and their places, and an answer is a span of these words. So no tokens are generated and
nothing is streamed: `direct.py` calls `answer` instead of `generate`.
"""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Sequence
from typing import Any

import torch

from backends.chat_server.errors import LoadError, RequestError
from backends.chat_server.images import decode_image
from backends.chat_server.protocol import ChatRequest, Sampling
from backends.hf_server.configuration import model_type
from backends.hf_server.families import DirectAnswer, Prepared, resnext_fpn, template_options
from backends.hf_server.families.processors import load_image_processor, load_tokenizer
from backends.hf_server.settings import Settings

STRIDE = 128  # tokens that two windows over a long page share; as in transformers' pipeline for these models


class DocumentQA:
    """Takes the text of a request as the question, and each of its pictures as a page."""

    name = "document_qa"
    takes_images = True

    def __init__(self, settings: Settings, config: Any) -> None:
        if shutil.which("tesseract") is None:
            raise LoadError(
                "--family document_qa reads pages with tesseract, which is not installed here: apt install "
                "tesseract-ocr tesseract-ocr-rus"
            )
        self.tokenizer = load_tokenizer(settings)
        self._image_processor = load_image_processor(settings)
        self._languages = settings.ocr_languages
        self._is_v2 = model_type(config) == "layoutlmv2"  # that of LayoutXLM's checkpoints, too
        if self._is_v2:
            resnext_fpn.install()
            self._window = min(config.max_position_embeddings, 512)  # LayoutXLM's 514 count from 0 as well
        else:
            self._window = config.max_position_embeddings - 2  # RoBERTa's begin after that of the padding token

    @staticmethod
    def model_class() -> Any:
        """Return AutoModelForDocumentQuestionAnswering."""
        from transformers import AutoModelForDocumentQuestionAnswering

        return AutoModelForDocumentQuestionAnswering

    def prepare(self, request: ChatRequest) -> Prepared:
        """Read the words of every page and split them into windows. Raise RequestError."""
        template_options.checked(request.template_options, None)
        question = _question(request)
        images = tuple(decode_image(data, number) for number, data in enumerate(request.images, start=1))
        pages = [page for image in images if (page := self._page(question, image)) is not None]
        return Prepared(
            inputs={"pages": pages},
            prompt=question,
            images=images,
            pixels=request.pixels,
            prompt_tokens=sum(int(page["rows"]["attention_mask"].sum()) for page in pages),
            image_tokens=0,
            image_sizes=(),
        )

    def batch_key(self, prepared: Prepared) -> Hashable:
        """Return one key for all requests: they are answered one by one."""
        del prepared
        return ()

    def collate(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        """Raise NotImplementedError: this family doesn't use `generate`."""
        raise NotImplementedError(f"{len(batch)} requests of family document_qa are answered by `answer`")

    def answer(self, model: Any, prepared: Prepared, sampling: Sampling) -> DirectAnswer:
        """Return the most probable span of words on all pages; an empty text if no page has words."""
        best = (float("-inf"), "", 0)
        for page in prepared.inputs["pages"]:
            rows = {name: value.to(model.device) for name, value in page["rows"].items()}
            pixels = page["pixel_values"].to(model.device, model.dtype)
            with torch.inference_mode():
                pictures = pixels.expand(len(rows["input_ids"]), -1, -1, -1)
                output = model(**rows, **{"image" if self._is_v2 else "pixel_values": pictures})
            for window, words in enumerate(page["word_of_token"]):
                # The patches of the picture, which follow the tokens, can't be an answer.
                starts = output.start_logits[window, : len(words)].float().cpu()
                ends = output.end_logits[window, : len(words)].float().cpu()
                score, first, last = _best_span(starts, ends, words, sampling.max_tokens)
                if score > best[0]:
                    text = " ".join(page["words"][words[first] : words[last] + 1])
                    best = (score, text, last - first + 1)
        return DirectAnswer(text=best[1], tokens=best[2])

    def _page(self, question: str, image: Any) -> dict[str, Any] | None:
        try:
            seen = self._image_processor(images=[image], apply_ocr=True, ocr_lang=self._languages, return_tensors="pt")
        except Exception as error:  # tesseract fails: a language is not installed, or the picture can't be read
            raise RequestError(f"OCR failed: {' '.join(str(error).split())[:300]}", code="bad_image") from error
        words, boxes = seen["words"][0], seen["boxes"][0]
        if not words:
            return None
        rows = self.tokenizer(
            text=question,
            text_pair=words,
            boxes=boxes,
            truncation="only_second",
            max_length=self._window,
            stride=STRIDE,
            padding=True,
            return_overflowing_tokens=True,
            return_tensors="pt",
        )
        word_of_token = [_words_of_page(rows, window) for window in range(len(rows["input_ids"]))]
        wanted = ("input_ids", "attention_mask", "bbox", *(("token_type_ids",) if self._is_v2 else ()))
        named = {name: rows[name] for name in wanted if name in rows}
        return {"rows": named, "pixel_values": seen["pixel_values"], "words": words, "word_of_token": word_of_token}


def _question(request: ChatRequest) -> str:
    """Return the text of the request, which must be one user turn with one text. Raise RequestError otherwise."""
    texts = [part for message in request.messages for part in message.parts if isinstance(part, str)]
    sampling = request.sampling
    if [message.role for message in request.messages] != ["user"] or len(texts) != 1:
        raise RequestError("an extractive model takes one user turn with one text, the question", param="messages")
    if not request.images:
        raise RequestError("an extractive model needs the picture of a page to read", param="messages")
    if sampling.temperature > 0 or sampling.repetition_penalty != 1 or request.stop:
        raise RequestError(
            "an extractive model draws no tokens: leave temperature at 0, repetition_penalty at 1 and stop empty",
            code="unsupported_parameter",
            param="temperature",
        )
    if request.pixels.min_pixels or request.pixels.max_pixels:
        raise RequestError("an extractive model has one size of picture", code="unsupported_parameter")
    return texts[0]


def _words_of_page(rows: Any, window: int) -> list[int]:
    """Return for each token the index of its word on the page: -1 for the question and for special tokens."""
    sides, words = rows.sequence_ids(window), rows.word_ids(window)
    return [word if side == 1 and word is not None else -1 for side, word in zip(sides, words, strict=True)]


def _best_span(starts: Any, ends: Any, words: Sequence[int], longest: int) -> tuple[float, int, int]:
    """Return log-probability, first and last token of the best span of at most `longest` tokens within the page.

    The first token, <s>, is included in the probabilities, as in the pipeline of transformers: the model gives it the
    probability that there is no answer, so a window without an answer scores less than others.
    """
    inside = torch.tensor([word >= 0 for word in words])
    allowed = inside.clone()
    allowed[0] = True
    low = torch.finfo(starts.dtype).min
    first = starts.masked_fill(~allowed, low).log_softmax(-1).masked_fill(~inside, low)
    last = ends.masked_fill(~allowed, low).log_softmax(-1).masked_fill(~inside, low)
    spans = (
        (first[:, None] + last[None, :])
        .triu()
        .masked_fill(~torch.ones(len(words), len(words), dtype=torch.bool).triu().tril(longest - 1), float("-inf"))
    )
    place = int(spans.argmax())
    return float(spans.flatten()[place]), place // len(words), place % len(words)
