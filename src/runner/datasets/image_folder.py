"""A plain folder of pictures without questions or references. The question comes from the prompt or dataset.question.

    test_1.jpg  test_2.jpg  test_10.jpg  scan.pdf

Each file is a sample and a document; its name is the id. Files are in natural order: test_2 precedes test_10. A PDF is
one sample with all its pages. Files of other kinds, hidden files and subfolders are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.images import SUFFIXES
from runner.datasets.paths import show
from runner.datasets.reader import Row
from runner.datasets.tables import check_options


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """List the pictures of a folder."""
    check_options(config)
    if config.columns:
        raise Refused(Problem("a folder of pictures has no columns", "dataset.columns", "leave it out"))
    if config.images is not None:
        raise Refused(Problem("not used by format images", "dataset.images", "dataset.path names the folder"))
    if not path.is_dir():
        raise Refused(Problem("is not a folder", show(path), "dataset.path must name a folder of pictures"))
    names = [file.name for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
    if not names:
        inside = ", ".join(sorted(child.name for child in path.iterdir())[:10]) or "nothing"
        remedy = f"pictures end in {', '.join(sorted(SUFFIXES))}; found there: {inside}"
        raise Refused(Problem("the folder has no pictures", show(path), remedy))
    for name in sorted(names, key=natural_order):
        yield Row(where=show(path / name), id=name, document=name, images=(name,))


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key that compares numbers in names by value; 1.png and 01.png are ordered as texts."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)], name
