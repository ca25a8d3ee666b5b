"""Opens a dataset: reads its rows, filters them, and checks everything that does not need an open picture."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import cells, embedded, looks, regions
from runner.datasets.api import Frames, Image, Sample
from runner.datasets.blind import BLIND, blinded
from runner.datasets.degraded import how_of, worsened
from runner.datasets.filters import Filters
from runner.datasets.findings import Findings
from runner.datasets.paths import ImageFolder, resolve, show
from runner.datasets.random_subset import Draw
from runner.datasets.reader import Maker, Note, Reader, Row, find_reader, from_sample
from runner.datasets.tables import as_value


@dataclass(frozen=True, slots=True)
class LoadedDataset:
    """The samples of a dataset, in the order of its file. `notes` are remarks on oddities that are no errors."""

    name: str
    samples: tuple[Sample, ...]
    content: str
    notes: tuple[str, ...] = ()
    probes: bool = False
    is_search: bool = False

    def __len__(self) -> int:
        """Count the samples after filters and limit."""
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in the order of the file."""
        return iter(self.samples)

    def digest(self) -> str:
        """Return a hash of the rows: questions, references and names of images, without the images' bytes or folder."""
        return self.content


def open_dataset(config: DatasetConfig, root: Path = Path(), *, pictures: bool = True) -> LoadedDataset:
    """Open the dataset that a config describes. Relative paths are looked up in the working directory, then in `root`.

    Rows are read and checked. Of pictures only the existence is checked; with `pictures=False`, for scoring, not even
    that. Raise Refused with all problems, and, where no row could be read, with what the file looks like.
    """
    reader = find_reader(config.format)
    maker = reader if isinstance(reader, Maker) else None
    if maker is not None:
        maker.prepare(config)
    path = _located(config, root)
    beside = path if path.is_dir() else path.parent
    images = resolve(config.images, "dataset.images", root, beside) if config.images is not None else beside
    if not images.is_dir():
        raise Refused(Problem(f"{images} is not a folder", "dataset.images", "the folder that image paths start from"))
    findings, filters = Findings(show(path)), Filters(config)
    frames = Frames(config.video_fps, config.video_frames, config.video_as == "video")
    folder = ImageFolder(images, frames, beside, "dataset.path" if config.format == "images" else "dataset.images")
    builder, draw = _Builder(config, folder, findings, pictures), Draw.of(config)
    places: dict[str, str] = {}  # id -> where it was first seen
    for row in _guessed(reader, config, path, root):
        if isinstance(row, Problem):
            findings.add(row)
        elif isinstance(row, Note):
            builder.notes.append(row.text)
        elif row.id in places:
            findings.add(
                Problem(f"id {row.id!r} is there twice, first in {places[row.id]}", row.where, "ids are unique")
            )
        else:
            places[row.id] = row.where
            if filters.keep(row):
                (builder if draw is None else draw).add(row)
    if draw is not None:
        for row in draw.rows():
            builder.add(row)
        builder.notes.append(draw.note)
    if not places and not findings:
        findings.add(Problem("there are no rows", show(path), "it must hold at least one question"))
    for problem in filters.problems() if places else ():
        findings.add(problem)
    try:
        findings.refuse()
    except Refused as refused:
        if not places:
            raise _with_guess(refused, config, root) from refused
        raise
    dataset = builder.dataset()
    return dataset if maker is None else replace(dataset, probes=maker.probes, is_search=maker.is_search(config))


def _located(config: DatasetConfig, root: Path) -> Path:
    """Return the dataset's file or folder. Raise Refused, with what fetches the data, where there is none."""
    try:
        return resolve(config.path, "dataset.path", root)
    except Refused as refused:
        if config.download is None:
            raise
        told = [replace(one, remedy=f"{one.remedy}. To get the data: {config.download}") for one in refused.problems]
        raise Refused(told) from refused


def places(config: DatasetConfig, root: Path, ids: Container[str]) -> dict[str, str]:
    """Return file and row of some samples. The file is read again: places are needed only for what is refused."""
    path = resolve(config.path, "dataset.path", root)
    rows = _read(find_reader(config.format), config, path)
    return {row.id: row.where for row in rows if isinstance(row, Row) and row.id in ids}


def _guessed(reader: Reader, config: DatasetConfig, path: Path, root: Path) -> Iterator[Row | Problem | Note]:
    """Yield what a reader yields. Where it refuses the file, say what the file looks like."""
    try:
        yield from _read(reader, config, path)
    except Refused as refused:
        raise _with_guess(refused, config, root) from refused


def _with_guess(refused: Refused, config: DatasetConfig, root: Path) -> Refused:
    guess = looks.guess(config, root)
    return refused if guess is None else Refused([*refused.problems, guess])


def _read(reader: Reader, config: DatasetConfig, path: Path) -> Iterable[Row | Problem | Note]:
    """Yield the rows, problems and notes of a reader. An exception in it becomes a Refused that names the reader."""
    try:
        for row in reader(config, path):
            if not isinstance(row, (Row, Sample, Problem, Note)):
                raise TypeError(f"yielded {row!r}, not a Row, Sample or Problem")  # noqa: TRY301 - reported below
            yield from_sample(row, show(path)) if isinstance(row, Sample) else row
    except Refused:
        raise
    except OSError as error:
        raise Refused(Problem(f"can't be read: {error.strerror or error}", show(path))) from error
    except Exception as error:  # a third party's reader may fail in any way
        what = f"the reader of format {config.format!r} failed: {type(error).__name__}: {error}"
        raise Refused(Problem(what, show(path), "the file or the reader is at fault")) from error


class _Builder:
    """Turns rows into samples, and adds the problems of rows to `findings`."""

    def __init__(self, config: DatasetConfig, folder: ImageFolder, findings: Findings, pictures: bool) -> None:
        self._pictures = pictures
        self._config, self._folder, self._findings = config, folder, findings
        self._samples: list[Sample] = []
        self._content = hashlib.sha256()
        self._unanswered: list[str] = []
        self.notes: list[str] = []

    def add(self, row: Row) -> None:
        """Add a row that passed the filters."""
        question = self._question(row)
        images = tuple(image for text in row.images if (image := self._image(text, row)))
        if self._config.region is not None:
            images = self._region(row, images)
        if row.question is not None and not row.references and row.answerable is not False:
            self._unanswered.append(row.where)
        sample = Sample(
            row.id,
            sys.intern(row.document),  # texts that many rows share are stored once
            images,
            sys.intern(question),
            tuple(map(sys.intern, row.references)),
            sys.intern(cells.label(row.doc_class)),
            sys.intern(cells.label(row.field)),
            sys.intern(row.context),
            row.answerable,
            row.meta,
        )
        self._samples.append(sample)
        content: list[object] = [
            row.id,
            row.document,
            row.images,
            question,
            row.references,
            row.doc_class,
            row.field,
            row.context,
        ]
        content.append(row.answerable)
        content += [dataclasses.astuple(image.frames) for image in images if image.frames is not None]
        self._content.update(json.dumps(content, ensure_ascii=False).encode() + b"\n")

    def _region(self, row: Row, images: tuple[Image, ...]) -> tuple[Image, ...]:
        """Return the part of the page that the row names. The questions, and so the digest, do not change."""
        column = str(self._config.region)
        column = column if column in row.meta else cells.label(column)  # as headers of tables are read
        try:
            return regions.cut(images, row.meta, column, self._config.region_margin)
        except ValueError as error:
            self._findings.add(Problem(str(error), row.where, "dataset.region=null shows whole pages"))
            return images

    def _question(self, row: Row) -> str:
        own = (row.question or "").strip()
        if not own and row.question is not None and not self._config.question:
            remedy = "give it one, or set dataset.question for all that have none"
            self._findings.add(Problem("the question is empty", row.where, remedy))
        return row.question or "" if own else self._config.question or ""

    def _image(self, text: str, row: Row) -> Image | None:
        if text in row.data:
            if self._pictures:
                embedded.write(text, row.data[text])
            return Image(embedded.folder() / text.removeprefix(embedded.PREFIX))
        where = row.where
        image = self._folder.find(text, where)
        if isinstance(image, Image):
            return image
        if not self._pictures:
            return Image(Path(text))
        self._findings.add(image if image.where else replace(image, where=where))
        return None

    def dataset(self) -> LoadedDataset:
        """Return the dataset of the rows that were added."""
        notes = tuple(self.notes)
        if missing := len(self._unanswered):
            which = ", ".join(self._unanswered[:5]) + (", ..." if missing > 5 else "")
            notes += (f"{missing} of {len(self._samples)} samples have no reference and stay unscored: {which}",)
            if missing == len(self._samples) and (kept := list(self._samples[0].meta)[:20]):
                # The answers may lie under a name that nobody foresaw.
                answer = f"'dataset.columns={{references: {as_value(kept[0])}}}'"
                keys = ", ".join(map(repr, kept))
                notes += (f"kept with the samples and not read: {keys}; if one holds the right answers: {answer}",)
        name, blind = self._config.name or self._config.format, self._config.blind
        if blind not in BLIND:
            raise Refused(Problem(f"{blind!r} is not valid", "dataset.blind", f"one of: {', '.join(BLIND)}"))
        if blind != "none":
            self._content.update(f"blind {blind} {self._config.blind_seed}".encode())
        samples = blinded(self._samples, blind, self._config.blind_seed)
        if self._config.other_pages and self._config.region is not None:
            what = "a part of a page is shown, and no other pages beside it"
            raise Refused(Problem(what, "dataset.region", "leave out dataset.other_pages, or dataset.region"))
        if self._config.other_pages:
            samples = self._with_other_pages(samples)
        if self._config.degrade is not None:
            samples, more = worsened(samples, self._config)
            notes += more
            if (how := how_of(self._config)) is not None:
                self._content.update(f"degrade {how.kind} {how.strength} {how.seed}".encode())
        return LoadedDataset(name, samples, self._content.hexdigest(), notes)

    def _with_other_pages(self, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        """Add the first pictures of the following documents to each sample. The place of its own pages varies."""
        count = self._config.other_pages
        self._content.update(f"other_pages={count}".encode())
        first = {sample.document: sample.images[0] for sample in reversed(samples) if sample.images}
        documents = list(first)[::-1]
        if len(documents) <= count:
            what = f"other_pages={count} needs {count + 1} documents with pictures; there are {len(documents)}"
            raise Refused(Problem(what, "dataset.other_pages", "a smaller number, or a larger dataset.limit"))
        place = {document: index for index, document in enumerate(documents)}
        extended = []
        for number, sample in enumerate(samples):
            start = place.get(sample.document, 0) + 1
            others = [first[documents[(start + step) % len(documents)]] for step in range(count)]
            at = number % (count + 1)
            extended.append(replace(sample, images=(*others[:at], *sample.images, *others[at:])))
        return tuple(extended)
