"""Pages are made worse as the kind and strength say, always alike, and what is known of their places moves along."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from backends.api import Generation
from metrics import boxes
from metrics.grounding import Grounding
from runner.base.errors import Refused
from runner.config.dataset import DatasetConfig
from runner.config.report_settings import PicturesConfig
from runner.datasets import open_dataset, read_image, read_images
from runner.datasets.api import Degrade, Image
from runner.datasets.degraded import KINDS
from runner.datasets.degrading import effects, geometry, table
from runner.datasets.images import warp
from runner.datasets.picture_names import describe_image, described, plain, without_mark
from runner.jobs import rows
from runner.jobs.rows import answer_row
from runner.report import pictures
from runner.scoring.judging import pictures as judged

MARKER = (300, 220, 380, 260)  # on the page of `page`


def page(path: Path, marker: tuple[int, int, int, int] | None = MARKER, size: tuple[int, int] = (600, 400)) -> Path:
    """Draw a white page of text with a black marker."""
    picture = Pillow.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    if marker is None:
        for row in range(20, size[1] - 20, 40):
            draw.text((30, row), "Договор № 17 от 09.03.1987, сумма 431 030", fill="black")
    else:
        draw.rectangle((marker[0], marker[1], marker[2] - 1, marker[3] - 1), fill="black")
    picture.save(path)
    return path


def dataset(folder: Path, *, images: list[str] | None = None, **more: Any):
    page(folder / "page.png")
    line = {"id": "1", "images": images or ["page.png"], "question": "Где?", "references": ["[1, 2, 3, 4]"]}
    line["box"] = list(MARKER)
    (folder / "rows.jsonl").write_text(json.dumps(line), encoding="utf-8")
    return open_dataset(DatasetConfig(name="d", format="jsonl", path=str(folder / "rows.jsonl"), **more))


def levels(image: Image) -> np.ndarray:
    return np.asarray(read_image(image).picture().convert("L"), dtype=float)


def marked(shown: np.ndarray) -> tuple[int, int, int, int]:
    """Return the rectangle around the marker: the largest dark patch, without specks and the table around the page."""
    dark = Pillow.fromarray((shown < 0.45 * np.median(shown)).astype(np.uint8) * 255)
    from scipy import ndimage

    patches, count = ndimage.label(np.asarray(dark) > 0)
    edge = {0, *patches[0], *patches[-1], *patches[:, 0], *patches[:, -1]}
    sizes = {number: (patches == number).sum() for number in range(1, count + 1) if number not in edge}
    ys, xs = np.nonzero(patches == max(sizes, key=sizes.__getitem__))
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_moved_box_is_where_the_marker_is(tmp_path: Path, kind: str, strength: float, seed: int):
    image = Image(page(tmp_path / "page.png"), degrade=Degrade(kind, strength, seed))
    found = marked(levels(image))
    moved = warp(image)
    assert moved is not None
    shares = boxes.moved((300 / 600, 220 / 400, 380 / 600, 260 / 400), moved)
    expected = shares[0] * 600, shares[1] * 400, shares[2] * 600, shares[3] * 400
    assert np.abs(np.subtract(found, expected)).max() <= 3, (found, expected)  # blur and noise eat at the edges
    if kind != "fax":
        assert expected != (300, 220, 380, 260)


@pytest.mark.parametrize("kind", KINDS)
def test_a_corner_of_the_page_stays_on_the_picture(tmp_path: Path, kind: str):
    for seed in range(20):
        moved = warp(Image(page(tmp_path / "page.png"), degrade=Degrade(kind, 1.0, seed)))
        assert moved is not None
        assert not boxes.wrong(boxes.moved((0, 0, 1, 1), moved)), "nothing is cut off"
        left, top, right, bottom = boxes.moved((0, 0, 1, 1), moved)
        assert min(left, top) > -1e-9
        assert max(right, bottom) < 1 + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_page_is_always_made_worse_alike(tmp_path: Path, kind: str):
    how = Degrade(kind, 0.7, 5)
    first = read_image(Image(page(tmp_path / "a.png", None), degrade=how))
    from runner.datasets.degrading import pages

    pages.degraded.cache_clear()
    (tmp_path / "folder").mkdir()
    again = read_image(Image(page(tmp_path / "folder" / "b.png", None), degrade=how))
    assert (first.data, first.digest, first.media_type) == (again.data, again.digest, again.media_type)
    assert (first.width, first.height) == (600, 400)
    assert first.picture().size == (600, 400)
    others = [Degrade(kind, 0.7, 6), Degrade(kind, 0.8, 5), None]
    for other in others:
        shown = read_image(Image(tmp_path / "a.png", degrade=other))
        assert shown.digest != first.digest
        assert shown.data != first.data


def test_two_pages_are_not_made_worse_alike(tmp_path: Path):
    how = Degrade("phone", 1.0)
    one = warp(Image(page(tmp_path / "a.png", None), degrade=how))
    two = warp(Image(page(tmp_path / "b.png"), degrade=how))
    assert one != two


@pytest.mark.parametrize("kind", KINDS)
def test_a_higher_strength_is_further_from_the_clean_page(tmp_path: Path, kind: str):
    path = page(tmp_path / "page.png", None)
    clean = levels(Image(path))
    away = [
        np.abs(levels(Image(path, degrade=Degrade(kind, strength))) - clean).mean() for strength in (0.05, 0.3, 0.6, 1)
    ]
    assert away == sorted(away)
    assert away[-1] > 1.2 * away[0]


def test_a_higher_strength_tilts_to_the_same_side(tmp_path: Path):
    path = page(tmp_path / "page.png")
    weak, strong = (np.array(warp(Image(path, degrade=Degrade("scan", strength)))) for strength in (0.5, 1.0))
    assert np.sign(weak[1]) == np.sign(strong[1])
    assert abs(strong[1]) > 1.5 * abs(weak[1])


def test_a_fax_is_black_and_white_at_every_strength(tmp_path: Path):
    for strength in (0.01, 1.0):
        shown = levels(Image(page(tmp_path / "page.png", None), degrade=Degrade("fax", strength)))
        assert set(np.unique(shown)) == {0.0, 255.0}


def test_a_fax_has_204_by_196_points_an_inch(tmp_path: Path):
    picture = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (3508, 2480), dtype=np.uint8)).convert("RGB")
    amounts = {"across_dpi": 204, "down_dpi": 196, "drift": 0}
    shown = np.asarray(effects.bilevel(picture, amounts, 1.0, np.random.default_rng(0)))[..., 0]
    columns = 1 + (np.diff(shown, axis=1) != 0).any(axis=0).sum()
    rows = 1 + (np.diff(shown, axis=0) != 0).any(axis=1).sum()
    assert (columns, rows) == (1687, 2292), "A4, 210 x 297 mm"


def test_strength_0_is_the_file_byte_for_byte(tmp_path: Path):
    clean = dataset(tmp_path)
    unchanged = dataset(tmp_path, degrade="phone", degrade_strength=0)
    assert unchanged.samples == clean.samples
    assert unchanged.digest() == clean.digest()
    (shown,) = read_images(unchanged.samples[0].images)
    assert shown.data == (tmp_path / "page.png").read_bytes()
    assert shown.digest == hashlib.sha256(shown.data).hexdigest()
    assert unchanged.notes == ("dataset.degrade=phone at strength 0: the pages are shown as they are",)


def test_references_and_ids_stay_and_jobs_are_not_mixed_up(tmp_path: Path):
    (clean,), (worse,) = dataset(tmp_path), dataset(tmp_path, degrade="scan")
    assert (clean.id, clean.references, clean.document, clean.meta) == (
        worse.id,
        worse.references,
        worse.document,
        worse.meta,
    )
    digests = {
        dataset(tmp_path, degrade=kind, degrade_strength=strength, degrade_seed=seed).digest()
        for kind in (None, "phone", "scan")
        for strength in (0.5, 1.0)
        for seed in (0, 1)
    }
    assert len(digests) == 9, "clean pages are the same whatever the strength"


def test_a_part_of_the_page_is_cut_where_it_went(tmp_path: Path):
    for seed in range(3):
        (sample,) = dataset(tmp_path, region="box", region_margin=0, degrade="phone", degrade_seed=seed)
        whole = Image(tmp_path / "page.png", degrade=Degrade("phone", 0.5, seed))
        moved = warp(whole)
        assert moved is not None
        left, top, right, bottom = geometry.moved(MARKER, moved, 600, 400)
        (shown,) = read_images(sample.images)
        assert (shown.width, shown.height) == (right - left, bottom - top)
        cut = levels(whole)[top:bottom, left:right]
        assert np.array_equal(np.asarray(shown.picture().convert("L"), dtype=float), cut)
        assert (cut < 90).mean() > 0.7, "the marker"


def test_pages_of_a_pdf_are_made_worse_once_they_are_drawn(tmp_path: Path):
    sheets = [Pillow.new("RGB", (300, 200), color) for color in ("white", "lightgrey")]
    sheets[0].save(tmp_path / "two.pdf", save_all=True, append_images=sheets[1:], resolution=150)
    (sample,) = dataset(tmp_path, images=["two.pdf"], degrade="fax", degrade_strength=1.0)
    (clean,) = dataset(tmp_path, images=["two.pdf"])
    shown, before = read_images(sample.images), read_images(clean.images)
    assert len(shown) == 2
    assert all(set(np.unique(np.asarray(one.picture()))) <= {0, 255} for one in shown)
    assert {(one.width, one.height) for one in shown} == {(one.width, one.height) for one in before}
    assert warp(sample.images[0]) == pytest.approx(np.eye(3).ravel())


def test_a_photograph_is_sent_as_the_jpeg_that_a_phone_saves(tmp_path: Path):
    path = page(tmp_path / "page.png", None)
    strong, weak = (read_image(Image(path, degrade=Degrade("phone", strength))) for strength in (1.0, 0.1))
    assert strong.media_type == "image/jpeg"
    assert Pillow.open(io.BytesIO(strong.data)).format == "JPEG"
    assert len(strong.data) < len(weak.data), "of lower quality"


def test_a_name_tells_what_was_shown(tmp_path: Path):
    image = Image(tmp_path / "скан.pdf", 1, degrade=Degrade("phone", 0.25, 3))
    name = describe_image(image)
    assert name == f"{tmp_path}/скан.pdf#page=2#degrade=phone:0.25:3"
    assert described(name) == image
    assert without_mark(name) == plain(image) == f"{tmp_path}/скан.pdf#page=2"
    for odd in ("a.png", "b#degrade=me.png", "c#page=x.png", "a.pdf#page=1"):
        assert without_mark(odd) == odd
        assert str(described("b#degrade=me.png").path) == "b#degrade=me.png"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"degrade": "fone"}, "'fone' is not valid"),
        ({"degrade": "phone", "degrade_strength": 1.5}, "1.5 is not valid"),
        ({"degrade": "phone", "blind": "no_image"}, "dataset.blind=no_image shows no pictures"),
    ],
)
def test_what_cannot_be_made_worse_is_refused(tmp_path: Path, more: dict[str, Any], what: str):
    with pytest.raises(Refused) as refused:
        dataset(tmp_path, **more)
    (problem,) = refused.value.problems
    assert problem.what.startswith(what)
    assert problem.where.startswith("dataset.degrade")


def test_a_video_is_refused_with_the_reason(tmp_path: Path):
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    with pytest.raises(Refused) as refused:
        dataset(tmp_path, images=["clip.mp4"], degrade="scan")
    (problem,) = refused.value.problems
    assert problem.what == "sample '1' shows a video, and only pictures and pages of PDFs can be made worse"
    assert problem.remedy == "dataset.degrade=null, or a dataset without videos"


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_at_the_marker_hits_a_reference_on_the_clean_page(tmp_path: Path, kind: str):
    """From the dataset's row to the score: what a model that finds the marker gets, and what an unmoved box does."""
    path = page(tmp_path / "page.png")
    line = {"id": "1", "images": [path.name], "question": "Где?", "references": [str(list(MARKER))]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line), encoding="utf-8")
    config = DatasetConfig(name="d", format="jsonl", path=str(tmp_path / "rows.jsonl"), degrade=kind)
    (sample,) = open_dataset(dataclasses.replace(config, degrade_strength=1.0))
    found = marked(levels(sample.images[0]))
    ious = {}
    for name, box in (("found", found), ("unmoved", MARKER)):
        row = json.loads(json.dumps(answer_row(sample, 0, Generation("k", str(list(box)), None), "Где?")))
        assert row["images"] == [f"{path}#degrade={kind}:1:0"]
        assert row["references"] == [str(list(MARKER))], "they stay"
        (score,) = [one for one in Grounding().score([rows.case(row)]) if one.name == "grounding_iou"]
        ious[name] = score.value
    assert ious["found"] > 0.85
    if kind != "fax":
        assert ious["unmoved"] < ious["found"] - 0.05


def test_boxes_of_a_page_that_is_gone_are_unscored(tmp_path: Path):
    (sample,) = dataset(tmp_path, degrade="phone")
    (tmp_path / "page.png").unlink()
    row = answer_row(sample, 0, Generation("k", "[1, 2, 3, 4]", None), None)
    assert row["warp"] is None
    row["images"] = [str(page(tmp_path / "other.png"))]  # its size is known, and not where its boxes went
    for score in Grounding().score([rows.case(row)]):
        assert score.value is None
        assert score.reason == (
            "the reference: its boxes moved with the page that was made worse, and that page can't be read"
        )


def test_a_judge_sees_the_clean_page(tmp_path: Path):
    path = page(tmp_path / "page.png")
    ((picture, _),) = judged.read((f"{path}#degrade=phone:1:0",), 1000)
    assert picture.data == path.read_bytes()


def test_the_report_shows_the_page_as_the_model_saw_it(tmp_path: Path):
    path = page(tmp_path / "page.png")
    names = [str(path), f"{path}#degrade=fax:1:0"]
    made = pictures.gather(names, [tmp_path], PicturesConfig())
    assert made.missing == 0
    assert len(made.uris) == 2
    assert made.places[names[0]] != made.places[names[1]]


def own_table(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (folder / "config.yaml").touch()
    (folder / "degrade.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("RUNNER_CONF", str(folder))


def test_a_table_of_ones_own_decides_and_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = Image(page(tmp_path / "page.png", None), degrade=Degrade("scan", 1.0))
    shipped = read_image(image)
    own_table(tmp_path, monkeypatch, "scan:\n  paper: {levels: 100}\n")
    from runner.datasets.degrading import pages

    pages.degraded.cache_clear()
    own = read_image(image)
    assert own.digest != shipped.digest
    assert np.asarray(own.picture()).max() == 155
    assert not table.moves("scan")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("phone: {blur: {radius: 0.1}}", "has no effects of 'scan'"),
        ("scan: {blurr: {radius: 0.1}}", "'blurr' is no effect"),
        ("scan: {blur: {sigma: 0.1}}", "{'sigma': 0.1} is not valid"),
        ("scan: {blur: {radius: big}}", "'big' is not valid"),
        ("scan: {shade: {lost: 2}}", "2 is not valid"),
        ("scan: {jpeg: {quality: 20}, blur: {radius: 0}}", "is the file that is sent"),
        ("scan: {blur", "no YAML"),
        ("[1, 2]", "has no effects of 'scan'"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str):
    own_table(tmp_path, monkeypatch, text)
    with pytest.raises(Refused) as refused:
        dataset(tmp_path, degrade="scan")
    assert [problem.what.startswith(what) for problem in refused.value.problems] == [True]


def test_the_table_and_the_functions_name_the_same_effects():
    assert set(table.AMOUNTS) == {*effects.EFFECTS, table.LAST}
    assert set(table.MOVING) == set(effects.MOVING)
    used = {step.effect for kind in KINDS for step in table.steps(kind)}
    assert used == set(table.AMOUNTS), "no effect that nothing uses"
