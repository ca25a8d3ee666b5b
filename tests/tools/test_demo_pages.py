"""The demo pages are what their generator draws, and what their references say stands where they say."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics import boxes
from metrics.registry import create

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "data" / "demo_pages"
sys.path.insert(0, str(ROOT / "tools"))  # the tools are scripts and import each other by their plain names

needs_fonts = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="needs the fonts of the matplotlib wheel"
)
ROWS = [json.loads(line) for line in (PAGES / "pages.jsonl").read_text(encoding="utf-8").splitlines()]


@needs_fonts
def test_the_generator_reproduces_the_committed_folder(tmp_path: Path):
    from demo_pages import write_pages

    write_pages(tmp_path)
    assert (tmp_path / "pages.jsonl").read_bytes() == (PAGES / "pages.jsonl").read_bytes()
    pictures = sorted(path.relative_to(PAGES) for path in PAGES.rglob("*.png"))
    assert len(pictures) == len(ROWS) == 12
    for picture in pictures:
        drawn, committed = (np.asarray(Image.open(folder / picture)) for folder in (tmp_path, PAGES))
        assert np.array_equal(drawn, committed), picture


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_each_box_holds_all_the_ink_of_its_text(row: dict):
    """All ink lies within boxes, and each box touches ink on all four sides: places are real."""
    (reference,), picture = row["references"], PAGES / row["images"][0]
    ink = np.asarray(Image.open(picture)) < 128
    blocks, outside = json.loads(reference), ink.copy()
    for block in blocks:
        left, top, right, bottom = block["bbox"]
        outside[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
        rows, columns = np.nonzero(ink[top - 2 : bottom + 2, left - 2 : right + 2])
        assert rows.min() <= 5 and columns.min() <= 6, block
        assert rows.max() >= bottom - top - 2 and columns.max() >= right - left - 3, block
    assert not outside.any(), "something is printed that no reference has"
    assert boxes.written(reference) == [tuple(map(float, block["bbox"])) for block in blocks]
    assert create("page", {"reference_adapters": ["layout_json"]}).check_reference(reference) == ""
    assert create("grounding").check_reference(reference, str(picture)) == ""
