"""`dataset.degrade`: the same questions about the same pages, which are made worse as phones, scanners and faxes do.

Questions, references, ids and documents do not change. The pictures' files stay as they are: a page is made worse when
it is read (datasets/degrading).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.api import Degrade, Image, Sample

KINDS = ("phone", "scan", "fax")
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
