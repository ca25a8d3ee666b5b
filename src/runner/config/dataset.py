"""The keys of conf/dataset/*.yaml."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from runner.config.values import one_of, within


@dataclass
class DatasetConfig:
    """Which questions are asked about which pictures. Each file in conf/dataset/ sets these keys."""

    name: str = ""  # the dataset's name in results
    # annotations, spreadsheet, images, jsonl, json, docvqa, mws_vision, omnidocbench, parquet, vlmevalkit,
    # openai_messages, or a third party's
    format: str = ""
    path: str = "???"  # needed: file or folder; relative to the working directory, else to the shipped data
    download: str | None = None  # what fetches the data: told where `path` does not exist; nothing is fetched by itself
    images: str | None = None  # the folder that image paths are relative to; null: the folder of `path`
    # filters: a value or a list of values; null keeps everything
    split: Any = None
    doc_class: Any = None  # class of documents, such as passport
    field: Any = None  # field that a question asks for, such as surname
    limit: int | None = within(None, 1)  # the first N samples that pass the filters
    limit_seed: int | None = None  # draws the N samples of `limit` at random with this seed; null: the first ones
    blind: str = "none"  # no_image, other_document: a baseline that can't see the page; docs/datasets.md
    blind_seed: int = 0  # the random seed that draws the other document
    other_pages: int = within(
        0, 0, 100
    )  # number of pictures of other documents added to each sample, to measure what more pages cost
    degrade: str | None = one_of(
        None, "phone", "scan", "fax"
    )  # phone, scan, fax: pages are made worse, as these do; null: shown as they are; docs/datasets.md
    degrade_strength: float = within(0.5, 0, 1)  # how much worse: 0 leaves them as they are, byte for byte
    degrade_seed: int = 0  # the random seed of what differs from page to page: the side of the tilt, the noise
    region: str | None = None  # a column with a box on the page, [left, top, right, bottom]: only that part is shown
    region_margin: int = within(
        4, 0, 10000
    )  # pixels shown around the box, because OCR programs read text badly that touches the edge
    question: str | None = None  # asked where a sample has no question of its own
    video_fps: float = within(1.0, 0.001, 120)  # frames taken from each second of a video
    video_frames: int = within(16, 1, 768)  # most frames from one video; from a longer video they are evenly spaced
    video_as: str = one_of(
        "pictures", "pictures", "video"
    )  # video: one moving picture, which some models take (docs/datasets.md)
    columns: dict[str, str | None] = dataclasses.field(
        default_factory=dict
    )  # meaning -> the file's column; null: not read
    options: dict[str, Any] = dataclasses.field(
        default_factory=dict
    )  # options of the reader: separator, encoding, sheet
