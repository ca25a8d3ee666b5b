from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.asking.visual_input import ResizeRule
from runner.base.errors import Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import open_dataset
from runner.datasets.images import read_images

UNLIMITED = ResizeRule(28, 3136, 10**9)


def opened(folder: Path, **options: Any) -> Any:
    return open_dataset(
        DatasetConfig("synthetic", "synthetic", str(folder / "pictures"), question=".", options=options)
    )


@pytest.mark.parametrize("tokens", [4, 48, 256, 1024, 6144])
def test_pictures_have_the_length_that_was_asked_for(tmp_path: Path, tokens: int) -> None:
    dataset = opened(tmp_path, visual_tokens=tokens, samples=2, pages=2)
    assert len(dataset) == 2 and dataset.probes and not dataset.is_search
    pictures = [read_images(sample.images) for sample in dataset]
    assert len({picture.digest for pages in pictures for picture in pages}) == 4, "all different"
    for picture in pictures[0]:
        assert UNLIMITED.size(picture.width, picture.height) == (picture.width, picture.height), "nothing is resized"
        assert UNLIMITED.tokens(picture.width, picture.height) == pytest.approx(tokens, rel=0.04)


def test_it_is_the_same_on_every_machine(tmp_path: Path) -> None:
    one, other = (opened(tmp_path / name, visual_tokens=64, samples=1) for name in "ab")
    assert one.digest() == other.digest()
    assert read_images(next(iter(one)).images)[0].digest == read_images(next(iter(other)).images)[0].digest


def test_without_room_for_a_picture_there_is_only_text(tmp_path: Path) -> None:
    (sample,) = opened(tmp_path, visual_tokens=1, samples=1)
    assert sample.images == () and sample.question == "."


def test_a_search_has_one_of_each_size_in_order(tmp_path: Path) -> None:
    dataset = opened(tmp_path, visual_tokens="largest", search_up_to=256)
    areas = [picture.width * picture.height for sample in dataset for picture in read_images(sample.images)]
    assert dataset.is_search and areas == sorted(areas) and len(areas) > 30
    assert areas[0] == 4 * 28**2 and areas[-1] == pytest.approx(256 * 28**2, rel=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"visual_tokens": 0}, "positive whole number, or largest"),
        ({"pixels": 5}, "unknown: pixels"),
        ({"pages": "2"}, "'2'"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        opened(tmp_path, **options)


def test_pages_of_other_documents_come_among_a_sample_s_own(tmp_path: Path) -> None:
    from PIL import Image

    rows = []
    for number in range(4):
        Image.new("RGB", (28, 28), (number, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append(f'{{"id": "{number}", "images": ["{number}.png"], "question": "q", "references": ["a"]}}')
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    config = DatasetConfig("d", "jsonl", str(tmp_path / "rows.jsonl"), other_pages=2)
    dataset = open_dataset(config)
    names = [[image.path.stem for image in sample.images] for sample in dataset]
    assert names == [["0", "1", "2"], ["2", "1", "3"], ["3", "0", "2"], ["3", "0", "1"]]
    assert dataset.digest() != open_dataset(DatasetConfig("d", "jsonl", str(tmp_path / "rows.jsonl"))).digest()
    with pytest.raises(Refused, match="needs 5 documents"):
        open_dataset(DatasetConfig("d", "jsonl", str(tmp_path / "rows.jsonl"), other_pages=4))
