"""Boxes: how they are written, in which frame, and what is told where the frame is wrong."""

from pathlib import Path

import pytest
from PIL import Image

from metrics import boxes
from metrics.registry import InvalidOptionError, create

from .cases import case, score


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> str:
    """A picture of 200 x 100 pixels."""
    path = tmp_path_factory.mktemp("pictures") / "1.png"
    Image.new("RGB", (200, 100)).save(path)
    return str(path)


def values(answer: str, *references: str, picture: str, facts: dict | None = None, **options) -> dict:
    found = score("grounding", case(answer, *references, images=(picture,), facts=facts or {}), options)
    return {name.removeprefix("grounding_"): one.reason or one.value for name, one in found.items()}


BOX = (10, 20, 110, 70)


@pytest.mark.parametrize(
    "text",
    [
        "[10, 20, 110, 70]",
        '```json\n[{"bbox_2d": [10, 20, 110, 70], "label": "итог"}]\n```',
        '{"box": [10.0, 20.0, 110.0, 70.0]}',
        "<|object_ref_start|>итог<|object_ref_end|><|box_start|>(10,20),(110,70)<|box_end|>",
        "<ref>итог</ref><box>(10,20),(110,70)</box>",
        "<box>10 20 110 70</box>",
        "итог<loc_10><loc_20><loc_110><loc_70>",
        "10, 20, 110, 70",
        "Рамка: (10, 20, 110, 70).",
    ],
)
def test_ways_to_write_a_box(text):
    assert boxes.written(text) == [BOX]


@pytest.mark.parametrize(
    "text", ["", "нет", "[1, 2, 3]", "Итого 10, 20", "[[1, 2], [3, 4]]", "[[[" * 30_000, "1," * 50_000]
)
def test_what_is_no_box(text):
    assert boxes.written(text) == []


def test_iou():
    assert boxes.iou((0, 0, 1, 1), (0, 0, 1, 1)) == 1
    assert boxes.iou((0, 0, 0.5, 1), (0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert boxes.iou((0, 0, 0.5, 1), (0.5, 0, 1, 1)) == 0


@pytest.mark.parametrize(
    ("answer", "options", "facts"),
    [
        ("[10, 20, 110, 70]", {}, {}),
        ("[50, 200, 550, 700]", {"frame": "0-1000"}, {}),
        ("[0.05, 0.2, 0.55, 0.7]", {"frame": "0-1"}, {}),
        ("[28, 56, 308, 196]", {"frame": "resized"}, {"image_sizes": [[560, 280]]}),
        ("[20, 10, 70, 110]", {"order": "yxyx"}, {}),
    ],
)
def test_frames_of_models_are_those_of_the_reference(answer, options, facts, picture):
    found = values(answer, "[10, 20, 110, 70]", picture=picture, facts=facts, **options)
    assert found == {"hit": 1, "iou": pytest.approx(1), "precision": 1, "valid": 1}


def test_frames_of_references(picture):
    found = values("[10, 20, 110, 70]", "[50, 200, 550, 700]", picture=picture, reference_frame="0-1000")
    assert found["iou"] == pytest.approx(1)


def test_hits_need_half_of_the_area(picture):
    half = values("[0, 0, 100, 50]", "[0, 0, 100, 100]", picture=picture)
    assert (half["iou"], half["hit"]) == (0.5, 1)
    assert values("[0, 0, 100, 49]", "[0, 0, 100, 100]", picture=picture)["hit"] == 0
    assert values("[0, 0, 100, 50]", "[0, 0, 100, 100]", picture=picture, threshold=0.75)["hit"] == 0


def test_several_boxes_are_paired_and_extra_ones_cost_precision(picture):
    found = values("[100,0,200,100] [0,0,100,100] [0,0,10,10]", "[[0,0,100,100],[100,0,200,100]]", picture=picture)
    assert found == {"hit": 1, "iou": 1, "precision": pytest.approx(2 / 3), "valid": 1}
    missing = values("[0,0,100,100]", "[[0,0,100,100],[100,0,200,100]]", picture=picture)
    assert (missing["hit"], missing["precision"]) == (0.5, 1)


def test_an_answer_without_a_box_misses(picture):
    assert values("Не вижу", "[0,0,50,50]", picture=picture) == {"hit": 0, "iou": 0, "precision": 0, "valid": 0}


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("[110, 70, 10, 20]", "its corners are swapped: left, top, right, bottom are wanted"),
        ("[10, 20, 10, 70]", "it has no area"),
        ("[300, 20, 400, 70]", "it is outside the page"),
        ("[-50, 20, 100, 70]", "it goes beyond the page"),
    ],
)
def test_boxes_that_can_not_be_are_unscored_and_never_0(answer, what, picture):
    found = values(answer, "[10, 20, 110, 70]", picture=picture)
    assert found == dict.fromkeys(("hit", "iou", "precision"), f"1 of 1 boxes of the answer: {what}") | {"valid": 0}
    said = create("grounding").check_reference(answer, picture)
    assert said.startswith("box [") and said.endswith(what)
    told = values("[10, 20, 110, 70]", answer, picture=picture)["hit"]
    assert told == f"the reference: {said}"


def test_a_pixel_over_the_edge_is_on_it(picture):
    assert values("[0, 0, 201, 100]", "[0, 0, 200, 100]", picture=picture)["hit"] == 1


def test_sizes_that_are_not_known_are_told(picture, tmp_path):
    lost = str(tmp_path / "lost.png")
    assert "the size of" in values("[1, 2, 3, 4]", "[1, 2, 3, 4]", picture=lost)["hit"]
    assert create("grounding").check_reference("[1, 2, 3, 4]", "") == (
        "its boxes are in pixels, and the size of no picture can't be told"
    )
    assert values("[10, 20, 30, 40]", "[10, 20, 30, 40]", picture=picture, frame="resized")["hit"] == (
        "the boxes are in pixels of the resized picture, and the engine doesn't say to what size it resized it"
    )
    relative = {"frame": "0-1000", "reference_frame": "0-1000"}
    assert values("[1, 2, 300, 400]", "[1, 2, 300, 400]", picture=lost, **relative)["hit"] == 1


def test_a_photo_that_was_turned_counts_as_it_is_shown(tmp_path):
    path = tmp_path / "1.jpg"
    photo = Image.new("RGB", (200, 100))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(path, exif=exif)
    assert boxes.picture_size(str(path)) == (100, 200)


def many(answer: str, reference: str, picture: str, number: int, **options) -> set[tuple[float | None, str]]:
    made = create("grounding", options)
    cases = [case(answer, reference, sample_id=str(row), images=(picture,)) for row in range(number)]
    return {(one.value, one.reason) for one in made.score(cases) if one.name == "grounding_hit"}


@pytest.mark.parametrize(
    ("answer", "frame", "said"),
    [
        (
            "[500, 200, 900, 700]",
            "pixels",
            "100% of the boxes are outside the page with frame=pixels; frame=0-1000 would",
        ),
        ("[0.5, 0.2, 0.9, 0.7]", "pixels", "100% of the boxes are tiny with frame=pixels; frame=0-1 would"),
        ("[100, 20, 180, 70]", "0-1000", "frame=0-1000 gives a mean IoU of 0.00; frame=pixels would"),
    ],
)
def test_a_wrong_frame_is_noticed_and_told(answer, frame, said, picture):
    ((value, reason),) = many(answer, "[100, 20, 180, 70]", picture, 4, frame=frame)
    assert value is None
    assert reason.startswith(f"the frame seems wrong: {said} give a mean IoU of 1.00")
    assert reason.endswith("set model.box_frame")


def test_bad_boxes_in_the_right_frame_are_no_wrong_frame(picture):
    assert many("[0, 0, 20, 10]", "[100, 20, 180, 70]", picture, 4) == {(0.0, "")}
    assert many("Не вижу", "[100, 20, 180, 70]", picture, 4) == {(0.0, "")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": "mm"}, "frame is 'mm'; valid: pixels, resized, 0-1000, 0-1"),
        ({"reference_frame": "resized"}, "reference_frame is 'resized'; valid: pixels, 0-1000, 0-1"),
        ({"order": "xxyy"}, "order is 'xxyy'; valid: xyxy, yxyx"),
        ({"threshold": 0}, "threshold is 0"),
    ],
)
def test_options_that_are_none_are_refused(options, message):
    with pytest.raises(InvalidOptionError, match=message):
        create("grounding", options)


def test_scores_of_models_with_different_frames_are_comparable():
    assert create("grounding", {"frame": "0-1"}).version == create("grounding").version


def test_a_reference_without_a_box_is_told(picture):
    assert create("grounding").check_reference("внизу справа", picture) == "no box in it"
    assert Path(picture).exists()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('[{"bbox": [1, 2, 3, 4], "text": "п. (5, 6, 7, 8) и [9, 9, 9, 9]"}]', [(1, 2, 3, 4)]),
        ('[{"text": "\\"[5, 6, 7, 8]", "bbox": [1, 2, 3, 4]}, {"bbox": [2, 3, 4, 5]}]', [(1, 2, 3, 4), (2, 3, 4, 5)]),
        ('{"a": "(1, 2),(3, 4)", "b": "(5,6),(7,8)"}', [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ('"[1, 2, 3, 4]" и [5, 6, 7, 8]', [(1, 2, 3, 4), (5, 6, 7, 8)]),
    ],
)
def test_four_numbers_that_a_page_prints_are_no_box_beside_those_of_its_json(text, read):
    assert boxes.written(text) == read
    assert len(boxes.labels(text)) == len(read)
