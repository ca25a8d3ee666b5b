"""How answers.jsonl, reports and messages name a picture: `1.pdf#page=2#degrade=phone:0.5:0`, and back."""

from __future__ import annotations

import re
from pathlib import Path

from runner.datasets.api import Degrade, Image
from runner.datasets.degraded import KINDS

_MARKED = re.compile(rf"(.+)#degrade=({'|'.join(KINDS)}):([0-9.e-]+):(-?[0-9]+)", re.DOTALL)


def describe_image(image: Image) -> str:
    """Name a picture for people, as answers.jsonl does: `1.pdf#page=2#degrade=phone:0.5:0` (kind, strength, seed)."""
    named = plain(image)
    how = image.degrade
    return named if how is None else f"{named}#degrade={how.kind}:{how.strength:g}:{how.seed}"


def plain(image: Image) -> str:
    """Name a picture as `describe_image` does, without what is done to it: the path, and the page of a PDF."""
    return str(image.path) if image.page is None else f"{image.path}#page={image.page + 1}"


def described(text: str) -> Image:
    """Return the picture that `describe_image` names so."""
    marked = _MARKED.fullmatch(text)
    named = marked[1] if marked else text
    how = Degrade(marked[2], float(marked[3]), int(marked[4])) if marked else None
    path, _, page = named.partition("#page=")
    return Image(Path(path), int(page) - 1 if page.isdecimal() else None, degrade=how)


def without_mark(name: str) -> str:
    """Return the name of the clean picture."""
    marked = _MARKED.fullmatch(name)
    return marked[1] if marked else name
