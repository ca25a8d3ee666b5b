"""A part of the page is shown where a column names it, to whatever model; the questions stay the same."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from runner.base.errors import Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import open_dataset, regions
from runner.datasets.api import Frames, Image
from runner.datasets.images import BadImage, read_images


def dataset(folder: Path, box: Any, images: tuple[str, ...] = ("page.png",), **more: Any):
    picture = Pillow.new("RGB", (100, 60), "white")
    picture.paste((255, 0, 0), (20, 10, 60, 30))
    picture.save(folder / "page.png")
    line = {"id": "1", "images": list(images), "question": "Сумма?", "references": ["1"], "box": box}
    (folder / "rows.jsonl").write_text(json.dumps(line))
    return open_dataset(DatasetConfig(name="d", format="jsonl", path=str(folder / "rows.jsonl"), **more))


def shown(sample) -> Pillow.Image:
    (encoded,) = read_images(sample.images)
    picture = Pillow.open(io.BytesIO(encoded.data))
    assert picture.size == (encoded.width, encoded.height)
    return picture


@pytest.mark.parametrize(
    "box", [[20, 10, 60, 30], "[20, 10, 60, 30]", "20 10 60 30", "20,10;60;30", [20.4, 10.9, 59.5, 29.1]]
)
def test_that_part_is_shown_in_whatever_form_it_is_written(tmp_path: Path, box: Any):
    (sample,) = dataset(tmp_path, box, region="box", region_margin=0)
    picture = shown(sample)
    assert picture.size == (40, 20)
    assert picture.getcolors() == [(800, (255, 0, 0))]


def test_a_margin_ends_at_the_edge_of_the_picture(tmp_path: Path):
    (sample,) = dataset(tmp_path, [2, 1, 98, 59], region="box", region_margin=4)
    assert shown(sample).size == (100, 60)
    (sample,) = dataset(tmp_path, [20, 10, 60, 30], region="box")
    assert shown(sample).size == (48, 28), "4 pixels, unless something else is said"


def test_the_questions_are_the_same_and_the_picture_is_another(tmp_path: Path):
    whole, part = dataset(tmp_path, [20, 10, 60, 30]), dataset(tmp_path, [20, 10, 60, 30], region="box")
    assert whole.digest() == part.digest(), "so that both stand in one comparison"
    digests = {read_images(sample.images)[0].digest for sample in (*whole, *part)}
    assert len(digests) == 2, "and an answer about one is none about the other"


@pytest.mark.parametrize(
    ("box", "images", "words"),
    [
        (None, ("page.png",), "no .left, top, right, bottom"),
        ("", ("page.png",), "no .left, top, right, bottom"),
        ([1, 2, 3], ("page.png",), "no .left, top, right, bottom"),
        ([1, 2, "x", 4], ("page.png",), "no .left, top, right, bottom"),
        ("[1, 2, NaN, 4]", ("page.png",), "no .left, top, right, bottom"),
        ([60, 10, 20, 30], ("page.png",), "left below right"),
        ([-5, 10, 20, 30], ("page.png",), "left below right"),
        ([20, 10, 60, 30], ("page.png", "page.png"), "2 pictures: of which one"),
    ],
)
def test_what_is_no_part_of_one_picture_is_refused(tmp_path: Path, box: Any, images: tuple[str, ...], words: str):
    with pytest.raises(Refused, match=words):
        dataset(tmp_path, box, images, region="box")


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path):
    with pytest.raises(Refused, match=r"there is no bbox \(dataset.region\); further columns: box"):
        dataset(tmp_path, [20, 10, 60, 30], region="bbox")


def test_no_other_pages_beside_a_part(tmp_path: Path):
    with pytest.raises(Refused, match=r"leave out dataset\.other_pages"):
        dataset(tmp_path, [20, 10, 60, 30], region="box", other_pages=1)


def test_a_place_outside_of_the_picture_fails_that_sample(tmp_path: Path):
    (sample,) = dataset(tmp_path, [200, 10, 260, 30], region="box")
    with pytest.raises(BadImage, match="lies outside of the picture, 100 x 60 pixels"):
        read_images(sample.images)


def test_a_part_of_a_page_of_a_pdf(tmp_path: Path):
    pages = [Pillow.new("RGB", (200, 100), colour) for colour in ("white", "red")]
    pages[0].save(tmp_path / "two.pdf", save_all=True, append_images=pages[1:], resolution=150)
    box = (10, 10, 30, 20)
    (encoded,) = read_images([Image(tmp_path / "two.pdf", page=1, box=box)])
    assert (encoded.width, encoded.height) == (20, 10)
    red, green, blue = Pillow.open(io.BytesIO(encoded.data)).getpixel((5, 5))
    assert red > 250 > 5 > max(green, blue)
    with pytest.raises(BadImage, match="of which of its 2 pages"):
        read_images([Image(tmp_path / "two.pdf", box=box)])


def test_no_part_of_a_video():
    with pytest.raises(ValueError, match="can't be cut out of a video"):
        regions.cut((Image(Path("x.mp4"), frames=Frames()),), {"box": [1, 1, 2, 2]}, "box", 0)
