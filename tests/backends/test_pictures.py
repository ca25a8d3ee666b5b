"""One rule for what is shown of a picture: modes that no file has, ranges, and what can't be shown."""

import numpy as np
import pytest
from PIL import Image

from backends.pictures import shown
from tests.backends.picture_modes import GROUND, INK, PAGES, grey


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "PA", "La", "RGBa"]
)
def test_an_opaque_picture_is_seen_alike_in_every_mode_of_pillow(mode: str):
    page = grey()
    steps = {"La": ["LA", "La"], "RGBa": ["RGBA", "RGBa"], "P": ["P"], "PA": ["P", "PA"], "LA": ["LA"]}.get(
        mode, ["RGB", mode]
    )
    for step in steps:
        page = page.convert(step, dither=Image.Dither.NONE)
    made = shown(page)
    assert made.mode in ("1", "L", "P", "RGB")
    wanted = (0, 255) if mode == "1" else (INK, GROUND)
    assert made.convert("L").getextrema() == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize("mode", ["LA", "La", "RGBA", "RGBa"])
def test_half_transparent_ink_is_half_as_dark_on_white(mode: str):
    pixel = Image.new("LA", (1, 1), (100, 128))
    image = pixel if mode == "LA" else pixel.convert("La") if mode == "La" else pixel.convert("RGBA").convert(mode)
    assert shown(image).getpixel((0, 0)) == pytest.approx((177,) * 3, abs=2)


def test_twelve_bits_in_a_tiff_fill_their_range(tmp_path):
    """Pillow reads 12 bits into I;16 without scaling them. Two pixels of 12 bits stand in three bytes."""
    page = next(one for one in PAGES if one.name == "tif I;16")
    data = bytearray(page.data)
    count = int.from_bytes(data[8:10], "little")
    entries = {int.from_bytes(data[10 + 12 * n : 12 + 12 * n], "little"): 10 + 12 * n for n in range(count)}
    assert int.from_bytes(data[4:8], "little") == 8 and {258, 273, 279} <= set(entries)
    data[entries[258] + 8 : entries[258] + 10] = (12).to_bytes(2, "little")
    start = int.from_bytes(data[entries[273] + 8 : entries[273] + 12], "little")
    values = page.seen.astype(int) * 4095 // 255
    even, odd = values[:, ::2], values[:, 1::2]
    packed = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=2).astype(np.uint8).tobytes()
    data[entries[279] + 8 : entries[279] + 12] = len(packed).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(bytes(data[:start]) + packed)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == "I;16"
        assert np.abs(np.asarray(shown(image)).astype(int) - page.seen).max() <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_picture(value: float):
    with pytest.raises(ValueError, match="no numbers"):
        shown(Image.fromarray(np.array([[0.5, value]], dtype=np.float32)))


def test_a_blank_page_of_wide_values_stays_what_it_is():
    for value, wanted in ((1.0, 255), (0.0, 0), (255.0, 255)):
        made = shown(Image.fromarray(np.full((4, 4), value, dtype=np.float32)))
        assert made.getextrema() == (wanted, wanted)
