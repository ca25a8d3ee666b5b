"""`experiment=ocr_pages`: tesseract reads whole pages, says where, is scored by `page` and `grounding`, and drawn."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conftest import CommandLine

pytestmark = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed: apt install tesseract-ocr tesseract-ocr-rus"
)


def read(cli: CommandLine, *overrides: str) -> tuple[dict[str, float], list[dict]]:
    """Run the experiment with tesseract; return the figures of its job and its answers."""
    ended = cli("experiment=ocr_pages", "model=tesseract_rus", *overrides, timeout=400)
    assert ended.code == 0, ended.out + ended.err
    (folder,) = (path.parent for path in cli.folder.glob("multirun/*/*/*/metrics.json"))
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    return json.loads((folder / "metrics.json").read_text())["metrics"], answers


def test_pages_are_read_with_their_places(cli: CommandLine):
    metrics, answers = read(cli)
    assert metrics["samples/total"] == len(answers) == 12
    assert metrics["samples/failed"] == metrics["samples/unscored"] == 0
    for answer in answers:
        blocks = json.loads(answer["text"])
        assert len(blocks) > 8, answer["sample_id"]
        for left, top, right, bottom in (block["bbox"] for block in blocks):
            assert 0 <= left < right <= 992 and 0 <= top < bottom <= 1403
    # Clean print: letters are read; tables are read as lines, which no program of OCR writes as a table.
    assert metrics["quality/page_text_edit/by/letter"] < 0.05
    assert metrics["quality/grounding_hit/by/letter"] > 0.95
    assert metrics["quality/page_teds"] == 0 and "quality/page_teds/by/letter" not in metrics
    assert 0.5 < metrics["quality/grounding_hit"] < 1 and metrics["quality/grounding_valid"] == 1
    assert metrics["quality/page_order_edit/by/act"] < 0.5
    report = next(cli.folder.glob("multirun/*/*/report.html")).read_text(encoding="utf-8")
    assert '"boxes"' in report and '"tables"' in report, "drawn on the picture, and beside each other"


def test_words_have_places_too(cli: CommandLine):
    _, answers = read(cli, "dataset.doc_class=letter", "dataset.limit=1", "backend.engine_args.boxes=words")
    texts = [block["text"] for block in json.loads(answers[0]["text"])]
    assert "направлении" in texts and not any(" " in text for text in texts)
