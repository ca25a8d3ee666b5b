"""Models whose repository has its own method `query(image, question, settings=...)` and no usable `generate`.

Moondream is such a model. Its code knows only temperature, top_p and max_tokens, and reports neither the number of
tokens nor the size of the picture.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from backends.chat_server.errors import RequestError
from backends.chat_server.images import decode_image
from backends.chat_server.protocol import ChatRequest, Sampling
from backends.hf_server.families import DirectAnswer, Prepared, template_options
from backends.hf_server.settings import Settings


class OwnQuery:
    """Passes the picture and the text of a request to the model's own method."""

    name = "own_query"
    takes_images = True
    tokenizer = None  # the model's code has its own

    def __init__(self, settings: Settings, config: Any) -> None:
        del settings, config

    @staticmethod
    def model_class() -> Any:
        """Return AutoModelForCausalLM, which loads the repository's class."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def prepare(self, request: ChatRequest) -> Prepared:
        """Decode the picture. Raise RequestError for a request or a setting that such a method doesn't take."""
        template_options.checked(request.template_options, None)
        texts = [part for message in request.messages for part in message.parts if isinstance(part, str)]
        roles = [message.role for message in request.messages]
        if roles != ["user"] or len(texts) != 1 or len(request.images) != 1:
            raise RequestError("this model takes one user turn with one picture and one text", param="messages")
        sampling, pixels = request.sampling, request.pixels
        if sampling.top_k or sampling.repetition_penalty != 1 or request.stop or pixels.min_pixels or pixels.max_pixels:
            raise RequestError(
                "this model's code knows temperature, top_p and max_tokens alone: leave top_k at 0, "
                "repetition_penalty at 1, stop and pixel limits empty",
                code="unsupported_parameter",
            )
        image = decode_image(request.images[0], 1)
        return Prepared({}, texts[0], (image,), pixels, prompt_tokens=0, image_tokens=0, image_sizes=())

    def batch_key(self, prepared: Prepared) -> Hashable:
        """Return one key for all requests: they are answered one by one."""
        del prepared
        return ()

    def collate(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        """Raise NotImplementedError: this family doesn't use `generate`."""
        raise NotImplementedError(f"{len(batch)} requests of family own_query are answered by `answer`")

    def answer(self, model: Any, prepared: Prepared, sampling: Sampling) -> DirectAnswer:
        """Return the answer of the model's method."""
        if sampling.temperature > 0 and sampling.seed is not None:
            torch.manual_seed(sampling.seed)
        settings = {"temperature": sampling.temperature, "top_p": sampling.top_p, "max_tokens": sampling.max_tokens}
        with torch.inference_mode():
            reply = model.query(prepared.images[0], prepared.prompt, settings=settings)
        return DirectAnswer(text=str(reply["answer"]).strip(), tokens=None)
