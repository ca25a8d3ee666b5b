"""Makes the picture of a page worse, and says where its places went. The same page is always made worse alike.

What is drawn at random depends on the seed, the kind and the page's content alone: not on the order, number or names of
samples. So all questions about a page show the same picture, and all models see it. A higher strength tilts the same
page to the same side, only more.
"""

from __future__ import annotations

import functools
import hashlib
import json

import numpy as np

from runner.datasets.api import Degrade
from runner.datasets.degrading import effects, geometry, table
from runner.datasets.encoded import EncodedImage

RULE = 1  # a change of what the effects do makes new digests


@functools.lru_cache(maxsize=8)
def degraded(clean: EncodedImage, how: Degrade) -> EncodedImage:
    """Return the degraded picture, as large as the clean one, under a digest of its own. Raise BadImage, Refused."""
    from runner.datasets.images import png

    picture = clean.picture()
    steps = table.steps(how.kind)
    data, media_type = b"", "image/png"
    for step in steps:
        if step.effect == table.LAST:
            data, media_type = effects.jpeg(picture, step.amounts, how.strength), "image/jpeg"
        else:
            random = _random(clean, how, step.effect)
            picture = effects.EFFECTS[step.effect](picture, step.amounts, how.strength, random)
    digest = hashlib.sha256(f"{clean.digest}#degrade={_told(how)}".encode()).hexdigest()
    data = data or png(picture)
    return EncodedImage(data, media_type, digest, clean.width, clean.height, remarks=clean.remarks)


def warp(clean: EncodedImage, how: Degrade) -> geometry.Warp:
    """Return where places of the clean page are in the degraded picture (`geometry`)."""
    matrix = np.eye(3)
    for step in table.steps(how.kind):
        if moving := effects.MOVING.get(step.effect):
            random = _random(clean, how, step.effect)
            matrix = moving(step.amounts, how.strength, random, clean.width, clean.height) @ matrix
    numbers: list[float] = (matrix / matrix[2, 2]).ravel().tolist()
    return tuple(numbers)


def _random(clean: EncodedImage, how: Degrade, effect: str) -> np.random.Generator:
    """Return the source of random numbers of one effect on one page."""
    seed = hashlib.sha256(f"{how.seed} {how.kind} {effect} {clean.digest}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(seed[:16], "big")))


def _told(how: Degrade) -> str:
    """Return everything that decides what becomes of a page."""
    steps = [[step.effect, dict(step.amounts)] for step in table.steps(how.kind)]
    return json.dumps([RULE, how.kind, how.strength, how.seed, steps], sort_keys=True)
