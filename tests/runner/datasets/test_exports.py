"""The lines of docs/datasets.md that make JSON lines of COCO and Label Studio exports, run as they stand there."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from runner.datasets import DatasetConfig, open_dataset

PAGE = Path(__file__).parents[3] / "docs/datasets.md"


def converted(tmp_path: Path, program: str, export: object) -> tuple[list[dict[str, Any]], str]:
    """Return the rows that the page's program makes of an export, and what it tells people."""
    (source,) = re.findall(rf"```python\n(# {re.escape(program)} .*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "export.json").write_text(json.dumps(export, ensure_ascii=False), "utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", source, str(tmp_path / "export.json")],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    (tmp_path / "q.jsonl").write_text(done.stdout, "utf-8")
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_coco(tmp_path: Path) -> None:
    marks = [
        {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 10, 12.5], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 2, "bbox": [30, 20, 4, 4]},
        {"id": 3, "image_id": 7, "category_id": 2, "bbox": [5, 5, 0, 0]},
        {"id": 4, "image_id": 7, "category_id": 2, "bbox": [0, 0, 64, 48], "iscrowd": 1},
    ]
    images = [{"id": 7, "file_name": "a.png"}, {"id": 9, "file_name": "b.png"}]
    export = {"images": images, "annotations": marks, "categories": [{"id": 2, "name": "печать"}]}
    (row,), _ = converted(tmp_path, "coco.py", export)
    assert json.loads(row["references"][0]) == [[1, 2, 11, 14.5], [30, 20, 34, 24]]
    PIL.Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (sample,) = open_dataset(DatasetConfig(format="jsonl", path=str(tmp_path / "q.jsonl")))
    assert (sample.id, sample.field, sample.images[0].path.name) == ("7-2", "печать", "a.png")


def region(label: str, text: str, *, rotation: float = 0) -> list[dict[str, Any]]:
    value = {"x": 10, "y": 50, "width": 20, "height": 25, "rotation": rotation}
    part = {"id": label, "original_width": 200, "original_height": 100}
    words = {"value": {**value, "text": [text]}, "type": "textarea"}
    return [part | {"value": value}, part | {"value": {**value, "labels": [label]}}, part | words]


def test_label_studio(tmp_path: Path) -> None:
    ours = {"completed_by": 1, "result": region("номер", "007", rotation=30) + region("дата", "1 мая")}
    other = {"completed_by": 2, "result": region("номер", "007", rotation=30) + region("дата", "7 мая")}
    cancelled = {"completed_by": 3, "was_cancelled": True, "result": region("номер", "7")}
    task = {"id": 4, "data": {"image": "/data/upload/1/ab-a.png"}, "annotations": [ours, other, cancelled]}
    (row,), told = converted(tmp_path, "label_studio.py", [task])
    assert (row["references"], row["field"], row["images"]) == (["007"], "номер", ["ab-a.png"])
    assert "task 4, дата: read differently: ['1 мая', '7 мая']" in told
    # 40 x 25 pixels, turned by 30 degrees around (20, 50)
    wide, high = 40 * math.cos(math.pi / 6), 25 * math.cos(math.pi / 6)
    assert row["region"] == pytest.approx([20 - 12.5, 50, 20 + wide, 50 + 20 + high])
    PIL.Image.new("RGB", (200, 100)).save(tmp_path / "ab-a.png")
    config = DatasetConfig(format="jsonl", path=str(tmp_path / "q.jsonl"), region="region")
    assert next(iter(open_dataset(config))).images[0].box is not None
