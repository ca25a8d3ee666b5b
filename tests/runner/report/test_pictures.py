"""Pictures of the page: each content once, large ones made smaller, no more than the budget, the rest counted."""

import base64
import io
from pathlib import Path

import PIL.Image

from runner.config.report_settings import PicturesConfig
from runner.report.pictures import gather


def picture(path: Path, width: int, colour: int) -> str:
    PIL.Image.effect_noise((width, width), colour).save(path)
    return path.name


def test_contents_are_carried_once_and_large_ones_shrink(tmp_path: Path):
    small, large = picture(tmp_path / "a.png", 50, 40), picture(tmp_path / "b.png", 900, 40)
    (tmp_path / "copy.png").write_bytes((tmp_path / "a.png").read_bytes())
    found = gather([small, "copy.png", large, small, "absent.png"], [tmp_path], PicturesConfig(pixels=300))
    assert found.places == {"a.png": 0, "copy.png": 0, "b.png": 1}
    assert (found.wanted, found.missing) == (4, 1)
    assert base64.b64decode(found.uris[0].partition(",")[2]) == (tmp_path / "a.png").read_bytes(), "as it is"
    shrunk = PIL.Image.open(io.BytesIO(base64.b64decode(found.uris[1].partition(",")[2])))
    assert shrunk.size == (300, 300) and found.uris[1].startswith("data:image/webp;base64,")


def test_what_making_smaller_would_not_make_lighter_travels_as_it_is(tmp_path: Path):
    page = PIL.Image.effect_noise((1050, 800), 40)
    page.save(tmp_path / "light.jpg", quality=10)
    page.save(tmp_path / "heavy.jpg", quality=95)
    found = gather(["light.jpg", "heavy.jpg"], [tmp_path], PicturesConfig(pixels=1000))
    light, heavy = (base64.b64decode(uri.partition(",")[2]) for uri in found.uris)
    assert light == (tmp_path / "light.jpg").read_bytes() and len(light) > 60_000
    assert PIL.Image.open(io.BytesIO(heavy)).width == 1000


def test_the_budget_holds(tmp_path: Path):
    names = [picture(tmp_path / f"{number}.png", 60, 10 + number) for number in range(30)]
    few = gather(names, [tmp_path], PicturesConfig(limit=7))
    assert len(few.uris) == 7 and list(few.places) == names[:7]
    tight = gather(names, [tmp_path], PicturesConfig(mib=0.02))
    assert 0 < sum(map(len, tight.uris)) <= 0.02 * 2**20
    assert gather(names, [tmp_path], PicturesConfig(limit=0)).uris == []


def test_what_is_no_picture_is_missing_and_nothing_else(tmp_path: Path):
    (tmp_path / "a.png").write_text("<svg onload=alert(1)>")
    found = gather(["a.png", "../../etc/passwd", "a.pdf#page=9"], [tmp_path], PicturesConfig())
    assert found.uris == [] and found.missing == 3
