"""The keys of conf/dataset/*.yaml."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from runner.config.values import one_of, within


@dataclass
class DatasetConfig:
    """Which questions are asked about which pictures. One file in conf/dataset/."""

    name: str = ""  # names the dataset in results
    format: str = ""  # annotations, spreadsheet, images, jsonl, docvqa, or a third party's reader
    path: str = "???"  # needed: file or folder; from the working directory, else from where the shipped data lies
    images: str | None = None  # the folder that image paths are relative to; null: the one of `path`
    # filters: a value or a list of values; null keeps everything
    split: Any = None
    doc_class: Any = None  # of documents, such as passport
    field: Any = None  # of questions, such as surname
    limit: int | None = within(None, 1)  # the first N samples that pass the filters
    blind: str = "none"  # no_image, other_document: a baseline that can't read; docs/datasets.md
    blind_seed: int = 0  # draws the other document
    other_pages: int = within(
        0, 0, 100
    )  # pictures of other documents among each sample's own: what do more pages cost?
    region: str | None = None  # a column with a place on the page, [left, top, right, bottom]: that part alone is shown
    region_margin: int = within(
        4, 0, 10000
    )  # pixels shown around it; OCR programs read a text that touches the edge badly
    question: str | None = None  # asked where a sample has no question of its own
    video_fps: float = within(1.0, 0.001, 120)  # frames taken from a second of a video
    video_frames: int = within(16, 1, 768)  # the most from one video; a longer one is covered evenly
    video_as: str = one_of(
        "pictures", "pictures", "video"
    )  # video: one moving picture, which some models take (docs/datasets.md)
    columns: dict[str, str | None] = dataclasses.field(default_factory=dict)  # our name -> the file's; null: not read
    options: dict[str, Any] = dataclasses.field(default_factory=dict)  # of the reader: separator, encoding, sheet
