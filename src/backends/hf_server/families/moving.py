"""Prepares videos for the Qwen2-VL family, whose models take frames in pairs.

transformers' video processor needs torchvision. The image processor does the same for a picture, which it duplicates to
make a pair. Here the duplicate is replaced by the next frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backends.chat_server.errors import RequestError
from backends.hf_server.configuration import model_type

MODEL_TYPES = ("qwen2_vl", "qwen2_5_vl")  # not Qwen3-VL, whose prompts contain times between the frames


def video_inputs(image_processor: Any, clips: Sequence[Sequence[Any]], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return `pixel_values_videos` (patches, values) and `video_grid_thw` (clips, 3).

    Raise RequestError if the frames of a clip differ in size.
    """
    patches, grids = [], []
    for clip in clips:
        if len({frame.size for frame in clip}) > 1:
            raise RequestError("the frames of a video differ in size", param="messages")
        seen = image_processor(images=list(clip), return_tensors="pt", **options)
        _, height, width = seen["image_grid_thw"][0].tolist()
        pair, side = image_processor.temporal_patch_size, image_processor.patch_size
        # A patch is (channel, frame of the pair, row, column). Both frames of a pair are equal: keep the first.
        frames = seen["pixel_values"].view(len(clip), height * width, -1, pair, side, side)[:, :, :, 0]
        missing = -len(clip) % pair
        frames = torch.cat([frames, frames[-1:].expand(missing, *frames.shape[1:])]) if missing else frames
        paired = frames.view(-1, pair, *frames.shape[1:]).permute(0, 2, 3, 1, 4, 5)
        patches.append(paired.reshape(len(paired) * height * width, -1))
        grids.append([len(paired), height, width])
    return {"pixel_values_videos": torch.cat(patches), "video_grid_thw": torch.tensor(grids)}


def check(config: Any, prompt: str, mark: str, clips: int) -> None:
    """Raise RequestError if this model or its chat template takes no video."""
    if model_type(config) not in MODEL_TYPES:
        raise RequestError(
            f"the HF server takes videos only for {', '.join(MODEL_TYPES)}, and this model is {model_type(config)}; "
            "send the frames as pictures (dataset.video_as=pictures)",
            code="unsupported_parameter",
            param="messages",
        )
    if prompt.count(mark) != clips:
        raise RequestError(
            "this checkpoint's chat template has no place for a video; send the frames as pictures "
            "(dataset.video_as=pictures)",
            code="unsupported_parameter",
            param="messages",
        )


def with_places(inputs: Mapping[str, Any], grids: Any, merge_size: int, config: Any) -> dict[str, Any]:
    """Return the tokenised inputs of one request with the video tokens inserted between their start and end marks.

    The tokens can't be written into the text, because a processor without videos refuses texts with video tokens.
    """
    ids = inputs["input_ids"][0]
    marks = (ids[:-1] == config.vision_start_token_id) & (ids[1:] == config.vision_end_token_id)
    places = (marks.nonzero().flatten() + 1).tolist()
    if len(places) != len(grids):
        raise RequestError(f"the text has {len(places)} places of videos for {len(grids)} videos", param="messages")
    counts = [int(grid.prod()) // merge_size**2 for grid in grids]
    fills = {"input_ids": config.video_token_id, "attention_mask": 1, "mm_token_type_ids": 2}
    placed = dict(inputs)
    for name, fill in fills.items():
        if name in inputs:
            pieces = torch.tensor_split(inputs[name][0], places)
            between = [torch.full((count,), fill, dtype=pieces[0].dtype) for count in counts]
            joined = [part for pair in zip(pieces, [*between, pieces[0][:0]], strict=True) for part in pair]
            placed[name] = torch.cat(joined)[None]
    return placed
