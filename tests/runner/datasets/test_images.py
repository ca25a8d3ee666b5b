"""Reading pictures: bytes pass through, others become PNG, PDF pages are drawn, damage names the file."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import PIL.Image
import pytest

from runner.datasets import BadImage, Image, images, pages, read_image, read_images


def picture(path: Path, size: tuple[int, int] = (20, 10), **keys: object) -> Path:
    PIL.Image.new("RGB", size, "red").save(path, **keys)
    return path


def pdf(path: Path, count: int) -> Path:
    sheets = [PIL.Image.new("RGB", (300, 150 * (number + 1)), "white") for number in range(count)]
    sheets[0].save(path, save_all=True, append_images=sheets[1:], resolution=150)
    return path


@pytest.mark.parametrize(("kind", "media_type"), [("jpeg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")])
def test_bytes_pass_through(tmp_path: Path, kind: str, media_type: str) -> None:
    path = picture(tmp_path / f"a.{kind}")
    read = read_image(Image(path))
    assert read.data == path.read_bytes()
    assert (read.media_type, read.width, read.height) == (media_type, 20, 10)
    assert read.digest == hashlib.sha256(read.data).hexdigest()


def test_the_media_type_comes_from_the_content(tmp_path: Path) -> None:
    assert read_image(Image(picture(tmp_path / "a.jpg", format="PNG"))).media_type == "image/png"


def test_a_real_photograph(shared: Path) -> None:
    read = read_image(Image(shared / "demo_mini/images/1.jpg"))
    assert (read.media_type, read.width, read.height) == ("image/jpeg", 1519, 1069)


@pytest.mark.parametrize("suffix", ["bmp", "gif", "tiff", "ppm"])
def test_what_engines_do_not_take_becomes_png(tmp_path: Path, suffix: str) -> None:
    read = read_image(Image(picture(tmp_path / f"a.{suffix}")))
    assert read.media_type == "image/png"
    assert PIL.Image.open(io.BytesIO(read.data)).convert("RGB").getpixel((3, 3)) == (255, 0, 0)


def test_a_cmyk_tiff_becomes_png(tmp_path: Path) -> None:
    PIL.Image.new("CMYK", (4, 4)).save(tmp_path / "a.tif")
    assert read_image(Image(tmp_path / "a.tif")).media_type == "image/png"


def test_a_changed_picture_is_read_again(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.bmp")
    before = read_image(Image(path))
    os.utime(picture(path, (5, 5)), ns=(1, 1))
    assert read_image(Image(path)).width == 5
    assert read_image(Image(path)).digest != before.digest


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", 3)
    read = read_images([Image(path), Image(path, 1)])
    assert [page.width for page in read] == [300] * 4
    # PDF keeps sizes in points: a pixel may be lost or won
    assert [page.height for page in read] == pytest.approx([150, 300, 450, 300], abs=1)
    assert {page.media_type for page in read} == {"image/png"}
    assert len({page.digest for page in read}) == 3
    assert pages(Image(path)) == tuple(Image(path, number) for number in range(3))


def test_a_page_that_is_not_there(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", 2)
    with pytest.raises(BadImage, match=r"a\.pdf: there is no page 7; the PDF has 2"):
        read_image(Image(path, 6))
    with pytest.raises(BadImage, match="2 pages, and none is named"):
        read_image(Image(path))
    assert read_image(Image(pdf(tmp_path / "b.pdf", 1))).height == 150


def test_too_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PAGES", 2)
    with pytest.raises(BadImage, match=r"3 pages; from 1 to 2 are read.*a\.pdf#page=1"):
        pages(Image(pdf(tmp_path / "a.pdf", 3)))


def test_a_page_of_giant_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 1000)
    with pytest.raises(BadImage, match="300 x 150 pixels; up to 1,000"):
        read_image(Image(pdf(tmp_path / "a.pdf", 1)))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.jpg", b"", "the file is empty"),
        ("a.jpg", b"hello, I am no picture", "not a picture that can be read"),
        ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00", "picture"),
        ("a.pdf", b"%PDF-1.7 cut short", "the PDF can't be opened"),
    ],
)
def test_damage_names_the_file(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadImage, match=message) as raised:
        read_images([Image(tmp_path / name)])
    assert str(tmp_path / name) in str(raised.value)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of cut TIFF tags
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_a_header_cut_anywhere_is_a_bad_image_or_passes_as_it_is(tmp_path: Path, kind: str) -> None:
    target = io.BytesIO()
    PIL.Image.new("RGB", (30, 30)).save(target, kind)
    path = tmp_path / "a"
    for size in range(1, 60):
        path.write_bytes(target.getvalue()[:size])
        try:
            assert read_image(Image(path)).width == 30
        except BadImage as error:
            assert str(path) in str(error)


def test_missing_file_folder_and_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, message in (("no.jpg", "No such file"), (".", "is not a file"), ("pipe.jpg", "is not a file")):
        with pytest.raises(BadImage, match=message):
            read_image(Image(tmp_path / name))


def test_a_decompression_bomb(tmp_path: Path) -> None:
    PIL.Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(BadImage, match=r"bomb\.png: too many pixels; up to 178,956,970 are read"):
        read_image(Image(tmp_path / "bomb.png"))


def test_a_giant_file(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(BadImage, match="200 MiB"):
        read_image(Image(tmp_path / "a.jpg"))


def test_a_tiff_of_several_pages_is_refused_rather_than_cut(tmp_path: Path) -> None:
    sheet = PIL.Image.new("L", (4, 4))
    sheet.save(tmp_path / "a.tif", save_all=True, append_images=[sheet])
    with pytest.raises(BadImage, match="TIFF of several pages"):
        read_image(Image(tmp_path / "a.tif"))
