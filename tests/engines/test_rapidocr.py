"""rapidocr in the environment that its model names (370 MB), beside the numbers of a page: `make test-engines`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.conftest import CommandLine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_it_says_where_it_read_on_whole_pages(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    """Low in text, for want of Cyrillic, but scored; it finds most lines all the same: seen with rapidocr 3.10.0."""
    cli = make_cli(tmp_path)
    ended = cli("experiment=ocr_pages", "model=rapidocr", "dataset.doc_class=letter", timeout=800)
    assert ended.code == 0, ended.out + ended.err
    (folder,) = (path.parent for path in tmp_path.glob("multirun/*/*/*/metrics.json"))
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert metrics["samples/total"] == 4 and metrics["samples/unscored"] == metrics["samples/failed"] == 0
    assert metrics["quality/grounding_hit"] > 0.5 and metrics["quality/grounding_valid"] == 1
    assert 0.5 < metrics["quality/page_text_edit"] < 1
    for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines():
        blocks = json.loads(json.loads(line)["text"])
        assert len(blocks) > 10 and all(block["text"].strip() for block in blocks)
        for left, top, right, bottom in (block["bbox"] for block in blocks):
            assert 0 <= left < right <= 992 and 0 <= top < bottom <= 1403


def test_it_reads_latin_letters_and_leaves_out_russian_ones(tmp_path: Path, make_cli: Callable[[Path], CommandLine]):
    """Seen with rapidocr 3.10.0 (PP-OCRv6 small): where this changes, its YAML and docs/engines.md change with it."""
    font = ImageFont.truetype("DejaVuSans.ttf", 32)
    for number, text in enumerate(("Invoice 45-1208", "Фамилия Федорко 12.03.1987", "")):
        picture = Image.new("RGB", (640, 80), "white")
        ImageDraw.Draw(picture).text((10, 20), text, "black", font=font)
        picture.save(tmp_path / f"{number}.png")
    rows = [
        {"id": str(n), "images": [f"{n}.png"], "question": "?", "references": [reference]}
        for n, reference in enumerate(("Invoice 45-1208", "Федорко", "-"))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    cli = make_cli(tmp_path)
    ended = cli(
        "model=rapidocr", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[found]", "hydra.run.dir=job",
        "backend.threads=1", timeout=800,
    )  # fmt: skip
    assert ended.code == 0, ended.out + ended.err
    assert "1 of 3 samples have references with Cyrillic letters, which it can't write" in ended.out + ended.err
    lines = (tmp_path / "job" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    latin, russian, blank = (json.loads(line) for line in lines)
    assert latin["text"].split() == ["Invoice", "45-1208"], "two boxes of text, or one"
    assert russian["text"].strip() == "12.03.1987", "no letter in place of Фамилия Федорко, and no word about it"
    assert blank["text"] == "" and blank["error"] is None
    facts = json.loads((tmp_path / "job" / "environment.json").read_text())["engine"]
    assert facts["version.rapidocr"] == "3.10.0"
    assert {"data.PP-OCRv6_det_small", "data.PP-OCRv6_rec_small"} <= set(facts), "digests of its models"
