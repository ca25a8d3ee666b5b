"""Synthetic pictures of any size: inputs of a chosen length, to measure speed and memory. They have no references.

    dataset=synthetic dataset.options.visual_tokens=1024        about 1024 visual tokens for each picture
    dataset=synthetic dataset.options.visual_tokens=largest     search for the largest input that works

A picture is a white page with grey bars for words. It is drawn from a seed, so it is the same on every machine. Fewer
than 4 visual tokens, which no model of the Qwen-VL family takes, mean a question without a picture. Missing files are
created in `dataset.path`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets.reader import Row

LARGEST = "largest"
FEWEST = 4  # visual tokens of the smallest picture
STEPS_PER_DOUBLING = 8  # steps of a search: its result is accurate to 9%
UNIT = 28  # pixels: the edge of the square that is one visual token, in Qwen2-VL and Qwen2.5-VL
_ASPECT = math.sqrt(2)  # height by width, as of A4
_OPTIONS = ("visual_tokens", "samples", "pages", "unit", "search_up_to")


class Synthetic:
    """The reader. Its samples probe limits: a sample that doesn't fit an engine is a result, not a failure."""

    probes = True

    def prepare(self, config: DatasetConfig) -> None:
        """Create the folder of pictures."""
        Path(config.path).expanduser().mkdir(parents=True, exist_ok=True)

    def is_search(self, config: DatasetConfig) -> bool:
        """Return whether the samples are sorted by size, to search for the largest that an engine answers."""
        return bool(config.options.get("visual_tokens") == LARGEST)

    def __call__(self, config: DatasetConfig, path: Path) -> Iterator[Row]:
        """Yield the samples and make their pictures."""
        options = _checked(config.options)
        sizes = _ladder(options) if self.is_search(config) else [options["visual_tokens"]]
        count = 1 if self.is_search(config) else options["samples"]
        for tokens in sizes:
            for number in range(count):
                names = [
                    _picture(path, tokens, options["unit"], seed=number * options["pages"] + page)
                    for page in range(options["pages"] if tokens >= FEWEST else 0)
                ]
                identity = f"{tokens}x{options['pages']}" + (f"-{number}" if count > 1 else "")
                yield Row(f"visual_tokens={tokens}", id=identity, document=identity, images=tuple(names))


READER = Synthetic()


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with their defaults. Raise Refused for a wrong option."""
    if unknown := sorted(set(options) - set(_OPTIONS)):
        raise Refused(Problem(f"unknown: {', '.join(unknown)}", "dataset.options", f"known: {', '.join(_OPTIONS)}"))
    values = {"visual_tokens": 1024, "samples": 3, "pages": 1, "unit": UNIT, "search_up_to": 16_384, **options}
    for name, value in values.items():
        if name == "visual_tokens" and value == LARGEST:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            words = f"a positive whole number{', or largest' if name == 'visual_tokens' else ''}"
            raise Refused(Problem(f"{value!r} is not valid", f"dataset.options.{name}", words))
    return values


def _ladder(options: dict[str, Any]) -> list[int]:
    steps = int(math.log2(options["search_up_to"] / FEWEST) * STEPS_PER_DOUBLING) + 1
    sizes = (round(FEWEST * 2 ** (step / STEPS_PER_DOUBLING)) for step in range(max(1, steps)))
    return list(dict.fromkeys(sizes))


def _picture(folder: Path, tokens: int, unit: int, seed: int) -> str:
    """Return the name of a picture of about `tokens` visual tokens with A4's proportions. Create a missing file."""
    columns = max(2, round(math.sqrt(tokens / _ASPECT)))
    rows = max(2, round(tokens / columns))
    name = f"{columns * unit}x{rows * unit}-{seed}.png"
    if not (folder / name).exists():
        draw(folder / name, columns * unit, rows * unit, seed)
    return name


def draw(path: Path, width: int, height: int, seed: int) -> None:
    """Write a page of grey bars."""
    from PIL import Image, ImageDraw

    draw = random.Random(seed)  # noqa: S311 - a layout, not a secret
    page = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(page)
    for top in range(12, height - 16, 24):
        left = 12
        while left < width - 12:
            right = min(width - 12, left + draw.randint(8, 90))
            pen.rectangle((left, top, right, top + 12), fill=draw.randint(0, 120))
            left = right + 10
    part = path.with_suffix(f".{random.SystemRandom().getrandbits(32):08x}.part")
    page.save(part, "PNG", compress_level=1)
    part.replace(path)  # atomic, because another runner may read the file
