"""What a dataset yields: the contracts of this package. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Frames:
    """Which frames of a video are shown: so many a second, evenly spread where that would be more than `limit`.

    `moving`: as one moving picture, to a model that takes such; else as pictures in order.
    """

    per_second: float = 1.0
    limit: int = 16
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by where it lies: a file, or a page (from 0) of a PDF. Opened when it is asked for, not before.

    With `frames` it is a video, which stands for those frames. With `box` it is a part of the picture: left, top, right
    and bottom in pixels of the upright picture (of a page of a PDF as it is drawn).
    """

    path: Path
    page: int | None = None
    frames: Frames | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One question about one document.

    `document` is the unit that statistics cluster by. `images` are the pages in order. `references` are the accepted
    answers, possibly none. `doc_class` and `field` are empty where the dataset has none. `answerable=False` marks a
    question that the document does not answer; None: not said. `meta` carries the dataset's other columns as text.
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
        """What the dataset is called in results."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the rows: references that are missing, and the like."""
        ...

    @property
    def probes(self) -> bool:
        """Whether samples probe limits: one that is too large for an engine is a result, and no failure."""
        ...

    @property
    def is_search(self) -> bool:
        """Whether the samples stand in order of size, to be searched for the largest that an engine answers."""
        ...

    def __len__(self) -> int:
        """Count the samples after filters and limit."""
        ...

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in a fixed order."""
        ...

    def digest(self) -> str:
        """Name the content of the rows (not of the pictures): equal digests, equal questions and references."""
        ...
