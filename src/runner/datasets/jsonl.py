r"""One JSON object on each line: the format that can hold everything a sample may have. Convert other formats to it.

    {"id": "7-1", "images": ["7/page1.png", "7/page2.png"], "question": "Кто покупатель?", "references": ["ИП Жуков"]}

Besides `id`, `images` and `question` a line may have `references`, `document` (else the first image), `split`,
`doc_class`, `field`, `answerable` (true, false) and `context`; other keys are kept with the sample. Images are relative
to the folder of the file, or to `dataset.images`. `scan.pdf#page=3` is one page of a PDF, `scan.pdf` all of them.
`"video": "clip.mp4"`, in place of `images` or beside them, stands for its frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.base.errors import Problem
from runner.config.dataset import DatasetConfig
from runner.datasets.json_values import as_row, parse
from runner.datasets.paths import need_file, show
from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS, check_options, chosen_columns

READS = "JSON lines with id, images, question and more"


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read the file line by line, because it may be larger than the memory."""
    check_options(config)
    names = chosen_columns(config, {meaning: meaning for meaning in MEANINGS})
    where = show(need_file(path, READS))
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _line(f"{where}:{number}", line, names)


def _line(where: str, line: bytes, names: dict[str, str]) -> Row | Problem:
    try:
        values: Any = parse(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        what = f"is not UTF-8: byte 0x{line[error.start]:02x} at position {error.start} of the line"
        return Problem(what, where, "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        return Problem(f"is not JSON: {error}", where, "one complete JSON object a line")
    if not isinstance(values, dict):
        return Problem("is no JSON object", where, '{"id": "1", "images": ["1.jpg"], "question": "..."}')
    return as_row(where, values, names)
