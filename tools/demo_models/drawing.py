"""Draws a demo document: 336 x 112 px, four printed lines, proportional fonts at free positions.

Glyphs come from an atlas that is drawn once per font and size, which makes a document cheap (about 0.3 ms) and its
pixels independent of the text layout engine. The fonts are those inside the matplotlib wheel, the same on any machine.
"""

import functools
import importlib.util
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo_models.values import FIELDS, draw_fields

WIDTH, HEIGHT, LINE_HEIGHT = 336, 112, 28
CHARACTERS = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя0123456789.,№"
SIZES = (15, 16, 17, 18)
# (file, horizontal scale): the third is a condensed face, which the wheel does not carry as a file.
FACES = (("DejaVuSans.ttf", 1.0), ("DejaVuSans-Bold.ttf", 1.0), ("DejaVuSans.ttf", 0.86), ("DejaVuSerif.ttf", 1.0))
TITLES = {"passport": "ПАСПОРТ №", "invoice": "СЧЁТ №"}

_MARGIN = 32  # room around the page, so that glyphs near an edge need no clipping
_BASELINE, _CELL_HEIGHT, _BEARING = 20, 28, 3
_RIGHT_EDGE = WIDTH - 4
_NOISE = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)


@dataclass(frozen=True)
class PlacedCharacter:
    """One printed character and the centre of its cell."""

    character: str
    x: float
    y: int


@dataclass(frozen=True)
class Document:
    """A drawn document: grey pixels, its values, their boxes and all printed characters."""

    doc_class: str
    fields: dict[str, str]
    pixels: np.ndarray
    boxes: dict[str, tuple[int, int, int, int]]
    characters: tuple[PlacedCharacter, ...]


@dataclass(frozen=True)
class _Glyph:
    coverage: np.ndarray
    advance: int


def font_folder() -> Path:
    """Find the folder of fonts in the installed matplotlib wheel, without importing matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The demo documents use the fonts of the matplotlib wheel: pip install matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


@functools.cache
def _atlas(face: int, size: int) -> dict[str, _Glyph]:
    """Draw every character of one face and size; all cells share their baseline."""
    name, scale = FACES[face]
    font = ImageFont.truetype(font_folder() / name, size, layout_engine=ImageFont.Layout.BASIC)
    glyphs = {}
    for character in CHARACTERS + " ":
        cell = Image.new("L", (2 * size + 2 * _BEARING, _CELL_HEIGHT), 0)
        ImageDraw.Draw(cell).text((_BEARING, _BASELINE), character, fill=255, font=font, anchor="ls")
        if scale != 1.0:
            cell = cell.resize((round(cell.width * scale), _CELL_HEIGHT), Image.Resampling.BICUBIC)
        inked = np.flatnonzero(np.asarray(cell).any(0))
        width = int(inked[-1]) + 1 if len(inked) else 1
        glyphs[character] = _Glyph(np.asarray(cell)[:, :width].copy(), round(font.getlength(character) * scale))
    return glyphs


def _width(text: str, atlas: dict[str, _Glyph]) -> int:
    return sum(atlas[character].advance for character in text)


class _Page:
    """Ink coverage of one page and what has been printed on it."""

    def __init__(self) -> None:
        self.coverage = np.zeros((HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN), np.float32)
        self.characters: list[PlacedCharacter] = []

    def print_text(self, text: str, atlas: dict[str, _Glyph], left: int, middle: int, baseline: int, ink: float) -> int:
        """Print a text and return its right end; `ink` is the darkness of full coverage."""
        top = baseline - _BASELINE + _MARGIN
        for character in text:
            glyph = atlas[character]
            start = left - _BEARING + _MARGIN
            cell = self.coverage[top : top + _CELL_HEIGHT, start : start + glyph.coverage.shape[1]]
            np.maximum(cell, glyph.coverage * np.float32(ink / 255), out=cell)
            if character != " ":
                self.characters.append(PlacedCharacter(character, left + glyph.advance / 2, middle))
            left += glyph.advance
        return left

    def pixels(self, rng: random.Random, ground: int) -> np.ndarray:
        """Turn ink into grey values with a little sensor noise."""
        page = ground - self.coverage[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        start = rng.randrange(len(_NOISE) - page.size)
        page = page + _NOISE[start : start + page.size].reshape(page.shape) * np.float32(rng.uniform(0, 6))
        return np.clip(np.rint(page), 0, 255).astype(np.uint8)


def draw_document(rng: random.Random, split: str, doc_class: str | None = None, invented: float = 0.0) -> Document:
    """Draw one document of a split; the class is random unless given, `invented` is the share of invented names."""
    # 1. What is printed, and in which order.
    doc_class = doc_class or rng.choice(tuple(FIELDS))
    fields = draw_fields(rng, split, doc_class, invented)
    number, *others = FIELDS[doc_class]
    rng.shuffle(others)
    lines = [(TITLES[doc_class], number), *((field, field) for field in others)]
    # 2. Fonts, ink and positions that fit the page.
    size, label_face = rng.choice(SIZES), rng.randrange(len(FACES))
    label_font = _atlas(label_face, size)
    value_font = _atlas(label_face if rng.random() < 0.7 else rng.randrange(len(FACES)), size)
    ground, ink = rng.randint(222, 255), rng.randint(0, 70)
    label_ink = rng.choice((ink, rng.randint(60, 110)))
    label_width = {label: _width(label, label_font) for label, _ in lines}
    value_width = {field: _width(value, value_font) for field, value in fields.items()}
    gap = rng.randint(8, 20)
    slack = _RIGHT_EDGE - gap - max(label_width[label] + value_width[field] for label, field in lines)
    left = rng.randint(3, max(3, min(40, slack)))
    column = left + max(label_width.values()) + gap
    tabular = rng.random() < 0.3 and column + max(value_width.values()) <= _RIGHT_EDGE
    # 3. Print the lines.
    page, boxes = _Page(), {}
    for row, (label, field) in enumerate(lines):
        middle = LINE_HEIGHT * row + LINE_HEIGHT // 2 + rng.randint(-3, 3)
        baseline = middle + round(size * 0.36)
        end = page.print_text(label, label_font, left, middle, baseline, ground - label_ink)
        start = min(column if tabular else end + gap, _RIGHT_EDGE - value_width[field])
        stop = page.print_text(fields[field], value_font, start, middle, baseline, ground - ink)
        boxes[field] = (start, baseline - round(size * 0.8), stop, baseline + round(size * 0.25))
    return Document(doc_class, fields, page.pixels(rng, ground), boxes, tuple(page.characters))
