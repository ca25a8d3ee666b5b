"""`dataset.degrade`: the same questions about the same pages, which are made worse as phones, scanners and faxes do.

Questions, references, ids and documents do not change. The pictures' files stay as they are: a page is made worse when
it is read (datasets/degrading).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.api import Degrade, Image, Sample

KINDS = ("phone", "scan", "fax")
_MARKED = re.compile(rf"(.+)#degrade=({'|'.join(KINDS)}):([0-9.e-]+):(-?[0-9]+)", re.DOTALL)
_REMEDY = "dataset.degrade=null"


def how_of(config: DatasetConfig) -> Degrade | None:
    """Return how a dataset's pages are made worse; None if they are shown as they are."""
    if config.degrade is None or not config.degrade_strength:
        return None
    return Degrade(config.degrade, float(config.degrade_strength), config.degrade_seed)


def worsened(samples: Sequence[Sample], config: DatasetConfig) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples with pictures that are made worse, and notes. Raise Refused for videos and blind jobs."""
    from runner.datasets.degrading import table

    if config.degrade not in KINDS:
        raise Refused(Problem(f"{config.degrade!r} is not valid", "dataset.degrade", f"one of: {', '.join(KINDS)}"))
    if not 0 <= config.degrade_strength <= 1:
        raise Refused(Problem(f"{config.degrade_strength} is not valid", "dataset.degrade_strength", "from 0 to 1"))
    table.steps(config.degrade)
    if config.blind == "no_image":
        what = "dataset.blind=no_image shows no pictures that could be made worse"
        raise Refused(Problem(what, "dataset.degrade", _REMEDY))
    if video := next((sample for sample in samples if any(image.frames for image in sample.images)), None):
        what = f"sample {video.id!r} shows a video, and only pictures and pages of PDFs can be made worse"
        raise Refused(Problem(what, "dataset.degrade", f"{_REMEDY}, or a dataset without videos"))
    how = how_of(config)
    if how is None:
        return tuple(samples), (f"dataset.degrade={config.degrade} at strength 0: the pages are shown as they are",)
    return tuple(dataclasses.replace(sample, images=_with(sample.images, how)) for sample in samples), ()


def _with(images: tuple[Image, ...], how: Degrade) -> tuple[Image, ...]:
    return tuple(dataclasses.replace(image, degrade=how) for image in images)


def describe(image: Image) -> str:
    """Name a picture for people, as answers.jsonl does: `1.pdf#page=2#degrade=phone:0.5:0` (kind, strength, seed)."""
    named = plain(image)
    how = image.degrade
    return named if how is None else f"{named}#degrade={how.kind}:{how.strength:g}:{how.seed}"


def plain(image: Image) -> str:
    """Name a picture as `describe` does, without what is done to it: the path, and the page of a PDF."""
    return str(image.path) if image.page is None else f"{image.path}#page={image.page + 1}"


def described(text: str) -> Image:
    """Return the picture that `describe` names so."""
    marked = _MARKED.fullmatch(text)
    named = marked[1] if marked else text
    how = Degrade(marked[2], float(marked[3]), int(marked[4])) if marked else None
    path, _, page = named.partition("#page=")
    return Image(Path(path), int(page) - 1 if page.isdecimal() else None, degrade=how)


def without_mark(name: str) -> str:
    """Return the name of the clean picture."""
    marked = _MARKED.fullmatch(name)
    return marked[1] if marked else name
