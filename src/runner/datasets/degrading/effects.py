"""What happens to a page: one small function for each effect. Each keeps the picture's width and height.

An effect takes a picture in RGB, its numbers of conf/degrade.yaml, the strength (above 0, up to 1), and a source of
random numbers of its own, and returns a picture. One that moves the page has a second function in MOVING that returns
its warp. `jpeg`, which can only be the last, returns a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runner.datasets.degrading import geometry

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Amounts = Mapping[str, float]
Random = np.random.Generator
Effect = Callable[["PilImage", Amounts, float, Random], "PilImage"]
Moving = Callable[[Amounts, float, Random, int, int], geometry.Matrix]

TABLE_COLOR = (92, 78, 66)  # brown: what lies around a page that is photographed
GLASS_COLOR = (255, 255, 255)  # a scanner's white lid
JPEG_BEST = 95  # a phone's quality at strength 0
FAX_INCHES = 210 / 25.4  # the width of the page that a fax machine takes in
SPECK_LEVEL = 40  # of 255: how dark a speck is


# ------------------------------------------------------------------------------------------------- the page moves


def tilt_warp(amounts: Amounts, strength: float, random: Random, _width: int, _height: int) -> geometry.Matrix:
    """Return the warp of a page whose corners each move inwards by up to `corner` of its width and of its height."""
    inwards = random.random((4, 2)) * amounts["corner"] * strength
    return geometry.to_corners(
        [(abs(x - dx), abs(y - dy)) for (x, y), (dx, dy) in zip(geometry.UNIT_SQUARE, inwards, strict=True)]
    )


def skew_warp(amounts: Amounts, strength: float, random: Random, width: int, height: int) -> geometry.Matrix:
    """Return the warp of a page that lies askew by half of `degrees` to all of them, to either side."""
    share, side = random.uniform(0.5, 1.0), random.choice((-1.0, 1.0))
    return geometry.turned(float(side * share * amounts["degrees"] * strength), width, height)


def tilt(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """See the page from aside, on a table."""
    return _drawn(picture, tilt_warp(amounts, strength, random, *picture.size), TABLE_COLOR)


def skew(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Turn the page a little on the glass."""
    return _drawn(picture, skew_warp(amounts, strength, random, *picture.size), GLASS_COLOR)


def _drawn(picture: PilImage, warp: geometry.Matrix, around: tuple[int, int, int]) -> PilImage:
    from PIL import Image

    return picture.transform(
        picture.size,
        Image.Transform.PERSPECTIVE,
        geometry.coefficients(warp, *picture.size),
        Image.Resampling.BICUBIC,
        fillcolor=around,
    )


# ------------------------------------------------------------------------------------------------- light and sharpness


def shade(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Let the light fall off evenly towards one side, where the share `lost` of it is lost."""
    angle = random.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, picture.width, dtype=np.float32) * np.float32(np.cos(angle))
    down = np.linspace(-1, 1, picture.height, dtype=np.float32) * np.float32(np.sin(angle))
    ramp = across[None, :] + down[:, None]
    ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    return _picture(_levels(picture) * (1 - amounts["lost"] * strength * ramp)[:, :, None])


def blur(picture: PilImage, amounts: Amounts, strength: float, _random: Random) -> PilImage:
    """Put the page out of focus: a Gaussian whose sigma is the share `radius` of the longer side."""
    from PIL import ImageFilter

    return picture.filter(ImageFilter.GaussianBlur(amounts["radius"] * strength * max(picture.size)))


def noise(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Add Gaussian noise with a standard deviation of `levels` of 255."""
    grain = random.standard_normal((picture.height, picture.width, 3), dtype=np.float32)
    return _picture(_levels(picture) + grain * np.float32(amounts["levels"] * strength))


def resample(picture: PilImage, amounts: Amounts, strength: float, _random: Random) -> PilImage:
    """Scan with fewer dots: make the picture `scale` as large, and as large again as it was."""
    from PIL import Image

    scale = 1 - (1 - amounts["scale"]) * strength
    few = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(few, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BILINEAR)


def paper(picture: PilImage, amounts: Amounts, strength: float, _random: Random) -> PilImage:
    """Scan grey paper: white becomes darker by `levels` of 255, black stays."""
    return _picture(_levels(picture) * (1 - amounts["levels"] * strength / 255))


def contrast(picture: PilImage, amounts: Amounts, strength: float, _random: Random) -> PilImage:
    """Lose the share `lost` of the range between black and white, around the middle."""
    return _picture(127.5 + (_levels(picture) - 127.5) * (1 - amounts["lost"] * strength))


def speckle(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Strew dust: `per_million` dark squares of 1 to 3 pixels for each million pixels."""
    levels = _levels(picture)
    specks = random.random((_specks(picture, amounts["per_million"]), 3))
    # All places are drawn, and a share of them used: at a higher strength the specks of a lower one are still there.
    for x, y, size in specks[: round(len(specks) * strength)]:
        left, top, edge = int(x * picture.width), int(y * picture.height), 1 + int(size * 3)
        levels[top : top + edge, left : left + edge] = SPECK_LEVEL
    return _picture(levels)


def _specks(picture: PilImage, per_million: float) -> int:
    return round(per_million * picture.width * picture.height / 1_000_000)


def jpeg(picture: PilImage, amounts: Amounts, strength: float) -> bytes:
    """Return the file that a phone saves: a JPEG of `quality` with half of the colours' resolution."""
    held = io.BytesIO()
    quality = round(JPEG_BEST - (JPEG_BEST - amounts["quality"]) * strength)
    picture.save(held, "JPEG", quality=quality, subsampling="4:2:0")
    return held.getvalue()


# ------------------------------------------------------------------------------------------------- fax


def bilevel(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Make each point black or white, at `across_dpi` by `down_dpi` of a page that is 210 mm wide.

    The threshold lies at one half, and by up to the share `drift` lower or higher. No points are added where the
    picture has fewer of them.
    """
    from PIL import Image

    inches = FAX_INCHES * max(1.0, picture.width / picture.height)  # a page on its side is fed in by its short edge
    points = (
        min(picture.width, round(amounts["across_dpi"] * inches)),
        min(picture.height, round(amounts["down_dpi"] * inches * picture.height / picture.width)),
    )
    threshold = 127.5 * (1 + amounts["drift"] * strength * random.uniform(-1, 1))
    grey = picture.convert("L").resize(points, Image.Resampling.BOX)
    black_or_white = grey.point([255 if level > threshold else 0 for level in range(256)])
    return black_or_white.resize(picture.size, Image.Resampling.NEAREST).convert("RGB")


def lost_lines(picture: PilImage, amounts: Amounts, strength: float, random: Random) -> PilImage:
    """Lose the share `share` of the lines; in the place of each is the line above it."""
    levels = np.asarray(picture).copy()
    lost = random.random(picture.height) < amounts["share"] * strength
    for row in np.flatnonzero(lost[1:]) + 1:
        levels[row] = levels[row - 1]
    return _picture(levels)


def _levels(picture: PilImage) -> NDArray[np.float32]:
    """Return levels (height, width, 3), 0 to 255."""
    return np.asarray(picture, dtype=np.float32).copy()


def _picture(levels: NDArray[np.float32] | NDArray[np.uint8]) -> PilImage:
    from PIL import Image

    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


EFFECTS: Mapping[str, Effect] = {
    effect.__name__: effect
    for effect in (tilt, skew, shade, blur, noise, resample, paper, contrast, speckle, bilevel, lost_lines)
}
MOVING: Mapping[str, Moving] = {"tilt": tilt_warp, "skew": skew_warp}
