"""The data types of this package: samples, images, and the protocol of a dataset. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Frames:
    """Which frames of a video are shown: `per_second` of them, or `limit` evenly spaced ones if that is fewer.

    `moving` sends them as one video, for models that take videos; otherwise they are sent as pictures in order.
    """

    per_second: float = 1.0
    limit: int = 16
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Degrade:
    """How a page is made worse (`dataset.degrade`): the kind, the strength above 0 and up to 1, and the random seed."""

    kind: str
    strength: float
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """The location of a picture: a file, or a page (counted from 0) of a PDF. It is opened only when it is needed.

    With `frames` the file is a video, and those frames are used. With `box` only a part of the picture is used: left,
    top, right and bottom in pixels of the upright picture, or of the rendered page of a PDF. With `degrade` the whole
    page is made worse first, and `box`, which counts on the clean page, moves along.
    """

    path: Path
    page: int | None = None
    frames: Frames | None = None
    box: tuple[int, int, int, int] | None = None
    degrade: Degrade | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one document.

    `document` is the unit by which statistics cluster. `images` are the pages in order. `references` are the accepted
    answers, possibly none. `doc_class` and `field` are empty if the dataset has none. `answerable=False` marks a
    question that the document does not answer; None: not known. `meta` has the dataset's other columns as text.
    """

    id: str
    document: str
    images: tuple[Image, ...]
    question: str
    references: tuple[str, ...] = ()
    doc_class: str = ""
    field: str = ""
    context: str = ""
    answerable: bool | None = None
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Dataset(Protocol):
    """An ordered collection of samples, cheap to open: rows are read, pictures are not."""

    @property
    def name(self) -> str:
        """The dataset's name in results."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks about the rows that a user should know, such as missing references."""
        ...

    @property
    def probes(self) -> bool:
        """Whether the samples probe limits: then a sample that is too large for an engine is a result, no failure."""
        ...

    @property
    def is_search(self) -> bool:
        """Whether the samples are sorted by size, to search for the largest sample that an engine answers."""
        ...

    def __len__(self) -> int:
        """Count the samples after filters and limit."""
        ...

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in a fixed order."""
        ...

    def digest(self) -> str:
        """Return a hash of the rows without the pictures: equal digests mean equal questions and references."""
        ...
