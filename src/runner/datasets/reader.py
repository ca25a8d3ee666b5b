"""The protocol of a reader: a function that takes a config and a path and yields rows. Third parties can add readers.

    # in the third party's package, say `acme.receipts`
    def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
        for number, line in enumerate(path.read_text("utf-8").splitlines()):
            image, question, answer = line.split("|")
            yield Row(f"{path.name}:{number + 1}", id=str(number), document=image, images=(image,),
                      question=question, references=(answer,))

    # in its pyproject.toml
    [project.entry-points."runner.datasets"]
    receipts = "acme.receipts:read"

Then `dataset.format=receipts` finds it. A reader may yield a `Sample` instead of a row. It yields a `Problem` for a row
that it can't read, and raises `Refused` if the whole file is wrong. The caller checks everything else: filters,
duplicate ids, empty questions and image paths.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from registries import Registry, RegistryError, UnknownName
from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.api import Sample

GROUP = "runner.datasets"
BUILT_IN = {
    "annotations": "runner.datasets.annotations:read",
    "docvqa": "runner.datasets.docvqa:read",
    "images": "runner.datasets.image_folder:read",
    "json": "runner.datasets.json_file:read",
    "jsonl": "runner.datasets.jsonl:read",
    "mws_vision": "runner.datasets.mws_vision:read",
    "omnidocbench": "runner.datasets.omnidocbench:read",
    "openai_messages": "runner.datasets.openai_messages:read",
    "parquet": "runner.datasets.parquet:read",
    "spreadsheet": "runner.datasets.spreadsheet:read",
    "synthetic": "runner.datasets.synthetic:READER",
    "vlmevalkit": "runner.datasets.vlmevalkit:read",
}
REGISTRY = Registry("dataset format", GROUP, BUILT_IN)


@dataclass(frozen=True, slots=True)
class Row:
    """One question as the file contains it, before filters and checks.

    `where` is the file and row, for messages. `images` are paths relative to the folder of images: `scan.pdf#page=3` is
    one page (counted from 1) of a PDF, `scan.pdf` all pages. `question=None` says that the format has no questions; an
    empty text says that this row's question is missing. Without a reference, `references` is an empty tuple. `data` are
    the bytes of pictures that stand in the file itself, by the name they have in `images` (runner.datasets.embedded).
    """

    where: str
    id: str
    document: str
    images: tuple[str, ...]
    question: str | None = None
    references: tuple[str, ...] = ()
    split: str = ""
    doc_class: str = ""
    field: str = ""
    context: str = ""
    answerable: bool | None = None
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Mapping[str, bytes] = dataclasses.field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Note:
    """A remark on how a file was read, such as which of its sheets."""

    text: str


class Reader(Protocol):
    """Reads one format. Called with the config and the existing path that it names."""

    def __call__(self, config: DatasetConfig, path: Path, /) -> Iterable[Row | Sample | Problem | Note]:
        """Yield rows (or ready samples) in the order of the file, and a problem for each row that can't be read.

        Notes may come at any place.
        """
        ...


@runtime_checkable
class Maker(Reader, Protocol):
    """A reader that makes its pictures itself. `probes`: a sample that is too large for an engine is no failure."""

    probes: bool

    def prepare(self, config: DatasetConfig) -> None:
        """Create the file or folder that `dataset.path` names."""
        ...

    def is_search(self, config: DatasetConfig) -> bool:
        """Return whether the samples are sorted by size, to search for the largest that an engine answers."""
        ...


def from_sample(sample: Sample, where: str) -> Row:
    """Return a sample as a row, so that it is filtered and checked like other rows."""
    pages = ("" if image.page is None else f"#page={image.page + 1}" for image in sample.images)
    images = tuple(f"{image.path}{page}" for image, page in zip(sample.images, pages, strict=True))
    return Row(
        where=f"{where}, sample {sample.id!r}",
        id=sample.id,
        document=sample.document,
        images=images,
        question=sample.question or None,
        references=sample.references,
        doc_class=sample.doc_class,
        field=sample.field,
        context=sample.context,
        answerable=sample.answerable,
        meta=sample.meta,
    )


def find_reader(name: str) -> Reader:
    """Return the reader of a format. Raise Refused where there is none, or several, or it can't be loaded."""
    try:
        return cast(Reader, REGISTRY.load(name))
    except UnknownName as error:
        known = ", ".join(sorted(REGISTRY.names()))
        raise Refused(Problem(f"unknown dataset format {name!r}", "dataset.format", f"one of: {known}")) from error
    except RegistryError as error:
        remedy = f"repair, reinstall or uninstall the package that brings {name!r}"
        raise Refused(Problem(str(error), "dataset.format", remedy)) from error
