"""Chat models of text: models that transformers builds with AutoModelForCausalLM and that have a chat template."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence
from typing import Any

from backends.chat_server.errors import LoadError, RequestError
from backends.chat_server.protocol import ChatRequest
from backends.hf_server.families import Prepared, template_options
from backends.hf_server.families.processors import load_tokenizer
from backends.hf_server.families.token_rows import joined_tokens
from backends.hf_server.settings import Settings


class ChatText:
    """Prepares chat messages by the checkpoint's own chat template. A request with a picture is refused."""

    name = "chat_text"
    takes_images = False

    def __init__(self, settings: Settings, config: Any) -> None:
        del config
        self._encoder = load_tokenizer(settings)
        if self._encoder.pad_token is None:
            self._encoder.pad_token = self._encoder.eos_token
        if not self._encoder.chat_template:
            raise LoadError(
                f"{settings.model} has no chat template (chat_template.jinja, or in tokenizer_config.json), so its "
                "prompts can't be built; put the model's template there"
            )
        # A fast tokenizer can't be used by two threads at once: this copy decodes in the model thread.
        self.tokenizer = copy.deepcopy(self._encoder)

    @staticmethod
    def model_class() -> Any:
        """Return AutoModelForCausalLM."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def prepare(self, request: ChatRequest) -> Prepared:
        """Render the prompt and tokenise. Raise RequestError."""
        if request.images:
            raise RequestError(
                "this model takes text alone; leave the pictures out, or read their text first (prompt.ocr)",
                code="unsupported_parameter",
                param="messages",
            )
        messages = [
            {"role": message.role, "content": "".join(str(part) for part in message.parts)}
            for message in request.messages
        ]
        options = template_options.checked(request.template_options, self._encoder.chat_template)
        try:
            prompt = self._encoder.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
        except Exception as error:  # templates raise many kinds of errors for roles and orders of turns
            raise RequestError(f"the model's chat template refuses the request: {error}") from error
        # The chat template contains all special tokens already.
        inputs = dict(self._encoder(prompt, add_special_tokens=False, return_tensors="pt"))
        inputs.pop("token_type_ids", None)
        return Prepared(
            inputs=inputs,
            prompt=prompt,
            images=(),
            pixels=request.pixels,
            prompt_tokens=inputs["input_ids"].shape[1],
            image_tokens=0,
            image_sizes=(),
        )

    def batch_key(self, prepared: Prepared) -> Hashable:
        """Return one key for all requests: any of them can share a batch."""
        del prepared
        return ()

    def collate(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        """Join requests into the arguments of `generate`: (batch, tokens), padded on the left."""
        return joined_tokens(batch, self.tokenizer.pad_token_id)
