"""A dataset of one picture for tests of planning that look at references."""

import json
from collections.abc import Sequence
from pathlib import Path


def write_rows(folder: Path, references: Sequence[str]) -> None:
    """Write `rows.jsonl`: a question about 1.png for each reference."""
    rows = [
        {"id": f"a{number}", "images": ["1.png"], "question": "Что?", "references": [reference]}
        for number, reference in enumerate(references)
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
