"""What is sent of a picture is the same page for every engine, judge and report, whatever its mode."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from backends.hf_server.images import decode_image
from runner.config.report_settings import PicturesConfig
from runner.datasets import BadImage, Image, read_image
from runner.report.pictures import gather
from runner.scoring.judging import pictures as judged
from tests.backends.picture_modes import PAGES, Page, grey

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def written(folder: Path, page: Page) -> Path:
    path = folder / f"page.{page.suffix}"
    path.write_bytes(page.data)
    return path


def differs(image: PIL.Image.Image, page: Page) -> int:
    """Return the largest difference between what is seen and what must be, in levels of 255."""
    seen = np.asarray(image.convert("RGB")).astype(int)
    assert seen.shape[:2] == page.seen.shape, "upright"
    return int(np.abs(seen - page.seen[:, :, None]).max())


@each_page
def test_what_is_sent_is_8_bits_opaque_and_upright(tmp_path: Path, page: Page):
    path = written(tmp_path, page)
    read = read_image(Image(path))
    assert (read.data == page.data) == page.passes, "the file's own bytes, where every engine makes the same of them"
    assert (read.height, read.width) == page.seen.shape
    sent = PIL.Image.open(io.BytesIO(read.data))
    assert sent.mode in ("1", "L", "P", "RGB") and not sent.has_transparency_data
    assert 0x0112 not in sent.getexif() and getattr(sent, "n_frames", 1) == 1
    allowed = 4 if page.suffix == "jpg" else 2
    assert differs(sent, page) <= allowed
    # SGLang 0.5.23 asks Pillow for RGB and nothing else; the HF server must see the same pixels.
    assert np.array_equal(np.asarray(decode_image(read.data, 1)), np.asarray(sent.convert("RGB")))


@each_page
def test_the_hf_server_sees_the_same_of_the_file_itself(page: Page):
    assert differs(decode_image(page.data, 1), page) <= (4 if page.suffix == "jpg" else 2)


@pytest.mark.parametrize("page", [one for one in PAGES if not one.passes], ids=lambda page: page.name)
def test_judge_and_report_see_that_page_too(tmp_path: Path, page: Page):
    path = written(tmp_path, page)
    ((part, _),) = judged.read([str(path)], longest=32)
    half = np.asarray(PIL.Image.open(io.BytesIO(part.data)).convert("L"))
    assert half.shape == (24, 32)
    found = gather([path.name], [tmp_path], PicturesConfig(pixels=32))
    shown = PIL.Image.open(io.BytesIO(base64.b64decode(found.uris[0].partition(",")[2]))).convert("L")
    for at, place in (((10, 8), (20, 16)), ((28, 20), (56, 40))):  # x, y in the block and on the ground
        wanted = int(page.seen[place[1], place[0]])
        assert abs(int(half[at[1], at[0]]) - wanted) <= 6
        whole = shown.width == page.seen.shape[1]  # small enough to travel as it is
        assert abs(shown.getpixel(place if whole else at) - wanted) <= 12


def test_a_digest_says_what_was_done(tmp_path: Path):
    """An answer about the white page that an engine once made of 16 bits is not an answer about this one."""
    import hashlib

    of = {
        page.name: (read_image(Image(written(tmp_path, page))).digest, page)
        for page in PAGES
        if "moving" not in page.name
    }
    own = {name for name, (digest, page) in of.items() if digest == hashlib.sha256(page.data).hexdigest()}
    same_pixels = {"bmp RGB", "gif P", "ppm L", "tif 1", "tif L", "tif P", "tif RGB", "tif RGBX"}
    assert own == {name for name, (_, page) in of.items() if page.passes} | same_pixels


@pytest.mark.parametrize(
    ("name", "keys"), [("a.png", {}), ("a.jpg", {"quality": 80}), ("a.webp", {}), ("a.bmp", {}), ("a.gif", {})]
)
def test_a_flat_page_is_told_of(tmp_path: Path, name: str, keys: dict):
    PIL.Image.new("RGB", (1240, 1754), (250, 250, 248)).save(tmp_path / name, **keys)
    (remark,) = read_image(Image(tmp_path / name)).remarks
    assert (remark.where, remark.what) == (name, "is one flat colour: nothing can be read on it")
    grey().resize((640, 480)).convert("RGB").save(tmp_path / name, **keys)
    assert not read_image(Image(tmp_path / name)).remarks


def test_a_page_of_hardly_any_contrast_is_told_of(tmp_path: Path):
    values = np.full((60, 200), 230, np.uint16)
    values[20:40, 30:170] = 30
    PIL.Image.fromarray(values * 16).save(tmp_path / "a.tif")  # 12 bits in a file of 16
    (remark,) = read_image(Image(tmp_path / "a.tif")).remarks
    assert "hardly any contrast" in remark.what
    PIL.Image.fromarray(values * 257).save(tmp_path / "b.tif")
    assert not read_image(Image(tmp_path / "b.tif")).remarks


def test_an_animation_is_told_of(tmp_path: Path):
    for page in (one for one in PAGES if "moving" in one.name):
        (remark,) = read_image(Image(written(tmp_path, page))).remarks
        assert "first frame" in remark.what


def test_values_that_are_no_numbers_fail_their_picture(tmp_path: Path):
    PIL.Image.fromarray(np.array([[0.5, np.nan]], dtype=np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(BadImage, match=r"a\.tif: damaged picture: it holds values that are no numbers"):
        read_image(Image(tmp_path / "a.tif"))
