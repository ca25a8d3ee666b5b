"""`dataset.blind`: a baseline that asks the same questions without a picture, or with that of another document.

A model that answers as well without seeing the page does not read it: it knows the answer from the question or from its
training. The other document has the same class if possible, so that it looks as the question suggests.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence

from runner.base.errors import Problem, Refused
from runner.datasets.api import Image, Sample

BLIND = ("none", "no_image", "other_document")


def blinded(samples: Sequence[Sample], blind: str, seed: int) -> tuple[Sample, ...]:
    """Return the samples with the pictures that `dataset.blind` asks for. Questions, references and ids do not change.

    `seed` determines the other document. Each document is shown once within its class, and never for its own questions.
    Raise Refused if there is no other document.
    """
    if blind == "none":
        return tuple(samples)
    if blind == "no_image":
        return tuple(dataclasses.replace(sample, images=()) for sample in samples)
    by_document: dict[str, list[Sample]] = {}
    for sample in samples:
        by_document.setdefault(sample.document, []).append(sample)
    shown = {document: _shown(own, by_document, order) for document, own, order in _orders(by_document, seed)}
    return tuple(dataclasses.replace(sample, images=_page(sample, shown[sample.document])) for sample in samples)


def _orders(
    by_document: Mapping[str, Sequence[Sample]], seed: int
) -> Iterator[tuple[str, Sequence[Sample], Sequence[str]]]:
    """Yield each document, its samples, and the other documents in the order in which they may replace it."""
    classes: dict[str, list[str]] = {}
    for document, own in by_document.items():
        classes.setdefault(own[0].doc_class, []).append(document)
    everything = _shuffled(list(by_document), f"{seed}")
    for doc_class, documents in classes.items():
        ring = _shuffled(documents, f"{seed} {doc_class}")
        for place, document in enumerate(ring):
            of_its_class = ring[place + 1 :] + ring[:place]
            start = everything.index(document)
            others = everything[start + 1 :] + everything[:start]
            yield document, by_document[document], list(dict.fromkeys([*of_its_class, *others]))


def _shuffled(documents: Sequence[str], seed: str) -> list[str]:
    """Return the documents in an order that depends only on the seed, not on the order in the file."""
    ordered = sorted(documents)
    random.Random(seed).shuffle(ordered)  # noqa: S311  repeatable, not secret
    return ordered


def _shown(own: Sequence[Sample], by_document: Mapping[str, Sequence[Sample]], order: Sequence[str]) -> list[Sample]:
    """Return the samples of the first document with other pictures: two documents may have the same page."""
    own_images = {image for sample in own for image in sample.images}
    for other in order:
        if not own_images & {image for sample in by_document[other] for image in sample.images}:
            return list(by_document[other])
    what = f"document {own[0].document!r} has no other document to be shown in its place"
    raise Refused(Problem(what, "dataset.blind", "other_document needs two documents at least; dataset.blind=no_image"))


def _page(sample: Sample, shown: Sequence[Sample]) -> tuple[Image, ...]:
    """Return the pictures of the other document's question about the same field, else of its first question."""
    return next((other.images for other in shown if other.field == sample.field), shown[0].images)
