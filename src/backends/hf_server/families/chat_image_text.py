"""Chat models of images and text: all models that transformers builds with AutoModelForImageTextToText."""

from __future__ import annotations

import copy
import threading
from collections.abc import Hashable, Sequence
from typing import Any

import torch

from backends.chat_server.errors import LoadError, RequestError
from backends.chat_server.images import decode_image
from backends.chat_server.protocol import ChatRequest, Clip
from backends.hf_server.configuration import model_type
from backends.hf_server.families import Prepared, moving, older_llava, template_options
from backends.hf_server.families.pixels import image_sizes, pixel_options
from backends.hf_server.families.processors import load_processor
from backends.hf_server.families.qwen_sizes import qwen_sizes
from backends.hf_server.families.token_rows import TOKEN_INPUTS, joined_tokens
from backends.hf_server.settings import Settings

# Inputs that are rows of patches or images, which are concatenated to make a batch. If a checkpoint has inputs other
# than these and tokens, its own processor makes the batch.
PACKED_INPUTS = ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw", "second_per_grid_ts")


class ChatImageText:
    """Prepares chat messages with images by the checkpoint's own chat template and processor."""

    name = "chat_image_text"
    takes_images = True

    def __init__(self, settings: Settings, config: Any) -> None:
        self._processor = load_processor(settings, config)
        encoder = self._processor.tokenizer
        encoder.padding_side = "left"
        if encoder.pad_token is None:
            encoder.pad_token = encoder.eos_token
        # A fast tokenizer can't be used by two threads at once ("Already borrowed"). So there are two: this copy
        # decodes in the model thread. The other one is used by `prepare` and `collate`, which the lock separates.
        self._lock = threading.Lock()
        self.tokenizer = copy.deepcopy(encoder)
        if not self._processor.chat_template:
            raise LoadError(
                f"{settings.model} has no chat template (chat_template.jinja, chat_template.json, or in "
                "tokenizer_config.json), so its prompts can't be built; put the model's template there"
            )
        older_llava.complete(self._processor, config)
        self._takes_parts = older_llava.takes_parts(self._processor)
        self._config = config
        self._defaults = settings
        self.qwen_sizes = qwen_sizes(self._processor.image_processor, config)
        if settings.min_pixels or settings.max_pixels:
            try:
                pixel_options(self._processor.image_processor, settings.min_pixels, settings.max_pixels)
            except RequestError as error:
                raise LoadError(f"--min-pixels, --max-pixels: {error.message}") from error

    @staticmethod
    def model_class() -> Any:
        """Return AutoModelForImageTextToText, which has another name in transformers before 4.46."""
        import transformers

        known = hasattr(transformers, "AutoModelForImageTextToText")
        return getattr(transformers, "AutoModelForImageTextToText" if known else "AutoModelForVision2Seq")

    def prepare(self, request: ChatRequest) -> Prepared:
        """Render the prompt, decode the images, tokenise. Raise RequestError."""
        pictures = tuple(decode_image(data, number) for number, data in enumerate(request.images, start=1))
        clips = [part for message in request.messages for part in message.parts if isinstance(part, Clip)]
        in_clips = {frame for clip in clips for frame in clip.frames}
        images = tuple(picture for number, picture in enumerate(pictures) if number not in in_clips)
        messages = [
            {"role": message.role, "content": self._content([_content(part) for part in message.parts])}
            for message in request.messages
        ]
        options = template_options.checked(request.template_options, self._processor.chat_template)
        try:
            with self._lock:
                prompt = self._processor.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True, **options
                )
                if not clips:
                    inputs = self._process([prompt], [list(images)] if images else None, request)
                else:
                    frames = [[pictures[number] for number in clip.frames] for clip in clips]
                    inputs = self._with_videos(prompt, list(images), frames, request)
        except (ValueError, TypeError, IndexError, StopIteration) as error:
            # The error is about this request: a wrong number of image marks, or an extreme aspect ratio.
            raise RequestError(f"the model's processor refuses the request: {error}") from error
        ids = inputs["input_ids"]
        sizes = image_sizes(inputs, len(images), self._config)
        if self.qwen_sizes is not None and len(sizes) == len(images):
            limits = self._pixel_options(request).get("size")
            self.qwen_sizes.compare([image.size for image in images], sizes, limits)
        seen = [token for kind in ("image", "video") if (token := self._token(kind)) is not None]
        return Prepared(
            inputs=inputs,
            prompt=prompt,
            images=images,
            pixels=request.pixels,
            prompt_tokens=ids.shape[1],
            image_tokens=int(torch.isin(ids, torch.tensor(seen, dtype=ids.dtype)).sum()),
            image_sizes=sizes,
        )

    def batch_key(self, prepared: Prepared) -> Hashable:
        """Return one key for all packed inputs. Other inputs need equal pixel limits and numbers of images."""
        return None if _packed(prepared) else (prepared.pixels, len(prepared.images))

    def collate(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        """Join requests into the arguments of `generate`: (batch, tokens), padded on the left."""
        if len(batch) == 1:
            return dict(batch[0].inputs)
        if not all(map(_packed, batch)):
            images = [list(prepared.images) for prepared in batch] if batch[0].images else None
            with self._lock:
                return self._process([prepared.prompt for prepared in batch], images, batch[0])
        joined = joined_tokens(batch, self.tokenizer.pad_token_id)
        for name in PACKED_INPUTS:
            if rows := [prepared.inputs[name] for prepared in batch if name in prepared.inputs]:
                joined[name] = torch.cat(rows)
        return joined

    def _content(self, parts: list[dict[str, str]]) -> Any:
        if self._takes_parts:
            return parts
        return older_llava.as_text(parts, getattr(self._processor, "image_token", "<image>"))

    def _with_videos(
        self, prompt: str, images: list[Any], clips: list[list[Any]], request: ChatRequest
    ) -> dict[str, Any]:
        """Return the inputs of a request with videos."""
        mark = getattr(self._processor, "video_token", "<|video_pad|>")
        moving.check(self._config, prompt, mark, len(clips))
        inputs = self._process([prompt.replace(mark, "")], [images] if images else None, request)
        processor = self._processor.image_processor
        videos = moving.video_inputs(processor, clips, self._pixel_options(request))
        if model_type(self._config) == "qwen2_5_vl":  # Qwen2.5-VL counts time in seconds, Qwen2-VL in frames
            seconds = processor.temporal_patch_size / request.video_fps
            videos["second_per_grid_ts"] = torch.full((len(clips),), seconds)
        return moving.with_places(inputs, videos["video_grid_thw"], processor.merge_size, self._config) | videos

    def _pixel_options(self, request: ChatRequest | Prepared) -> dict[str, Any]:
        low = request.pixels.min_pixels or self._defaults.min_pixels
        high = request.pixels.max_pixels or self._defaults.max_pixels
        return pixel_options(self._processor.image_processor, low, high) if low or high else {}

    def _process(self, prompts: list[str], images: Any, request: ChatRequest | Prepared) -> dict[str, Any]:
        options = {"images": images, **self._pixel_options(request)} if images is not None else {}
        # The chat template contains all special tokens already. A second BOS would change the answers.
        special = not prompts[0].startswith(self.tokenizer.bos_token) if self.tokenizer.bos_token else True
        with_padding = {"padding": True, "padding_side": "left"} if len(prompts) > 1 else {}
        inputs = self._processor(
            text=prompts, add_special_tokens=special, return_tensors="pt", **with_padding, **options
        )
        return dict(inputs)

    def _token(self, kind: str) -> int | None:
        for owner in (self._config, self._processor):
            for name in (f"{kind}_token_id", f"{kind}_token_index"):
                if isinstance(value := getattr(owner, name, None), int):
                    return value
        return None


def _content(part: str | int | Clip) -> dict[str, str]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "video" if isinstance(part, Clip) else "image"}


def _packed(prepared: Prepared) -> bool:
    names = set(prepared.inputs)
    flat = names <= {*TOKEN_INPUTS, *PACKED_INPUTS}
    return flat and (("pixel_values" in names) == ("image_grid_thw" in names))
