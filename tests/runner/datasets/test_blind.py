"""Blind baselines: the questions stay, the pictures go, or are another document's; drawn the same each time."""

from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, open_dataset
from runner.datasets.api import Image, Sample
from runner.datasets.blind import blinded
from tests.conftest import ROOT


def sample(document: str, field: str, page: int = 0, doc_class: str = "passport") -> Sample:
    image = Image(Path(f"{document}.pdf"), page)
    return Sample(f"{document}-{field}", document, (image,), field, (document,), doc_class, field)


def documents(count: int, doc_class: str = "passport") -> list[Sample]:
    return [
        sample(f"{doc_class}{n}", field, page, doc_class) for n in range(count) for page, field in enumerate(("a", "b"))
    ]


def test_other_documents_are_of_the_class_and_each_is_shown_once():
    samples = [*documents(7), *documents(5, "invoice")]
    shown = blinded(samples, "other_document", 0)
    assert [(one.id, one.question, one.references) for one in shown] == [
        (one.id, one.question, one.references) for one in samples
    ]
    pairs = {(own.document, new.images[0].path.stem) for own, new in zip(samples, shown, strict=True)}
    assert len(pairs) == 12 and len({new for _, new in pairs}) == 12, "a permutation of the documents"
    assert all(own != new and own.rstrip("0123456789") == new.rstrip("0123456789") for own, new in pairs)
    assert all(own.images[0].page == new.images[0].page for own, new in zip(samples, shown, strict=True)), "same field"


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows():
    samples = documents(9)

    def draw(seed: int, given: list[Sample]) -> dict[str, Path]:
        return {one.id: one.images[0].path for one in blinded(given, "other_document", seed)}

    assert draw(0, samples) == draw(0, samples[::-1]) != draw(1, samples)


def test_a_class_with_one_document_borrows_from_another_class():
    (first, *_) = blinded([sample("only", "a", doc_class="x"), *documents(2)], "other_document", 0)
    assert first.images[0].path.stem.startswith("passport")


def test_the_same_page_under_two_names_is_not_another_document():
    twins = [sample("1", "a"), sample("2", "a"), sample("3", "a")]
    same = Image(Path("same.png"))
    twins = [Sample(**{**{f: getattr(one, f) for f in one.__slots__}, "images": (same,)}) for one in twins[:2]] + twins[
        2:
    ]
    shown = blinded(twins, "other_document", 0)
    assert [one.images[0].path.name for one in shown[:2]] == ["3.pdf", "3.pdf"]
    with pytest.raises(Refused, match="no other document"):
        blinded(twins[:2], "other_document", 0)


def test_one_document_is_refused():
    with pytest.raises(Refused, match=r"dataset\.blind"):
        blinded([sample("1", "a")], "other_document", 0)


def opened(**given):
    return open_dataset(DatasetConfig("demo", "annotations", str(ROOT / "data" / "demo_documents"), **given))


def test_a_blind_dataset_is_another_dataset():
    digests = {
        opened().digest(),
        opened(blind="no_image").digest(),
        opened(blind="other_document").digest(),
        opened(blind="other_document", blind_seed=1).digest(),
    }
    assert len(digests) == 4
    assert all(one.images == () for one in opened(blind="no_image"))
    with pytest.raises(Refused, match="one of: none, no_image, other_document"):
        opened(blind="yes")
