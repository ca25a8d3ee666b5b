"""Where a place of a page is after its picture was tilted or turned.

A warp is nine numbers, the rows of a 3 x 3 matrix that takes (x, y, 1) of the clean page to the degraded one. Both
count in shares of width and height, 0 to 1; a degraded picture is as large as the clean one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from metrics import boxes

Warp = tuple[float, ...]
Matrix = NDArray[np.float64]

UNIT_SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))  # left above, right above, right below, left below


def to_corners(corners: Sequence[tuple[float, float]]) -> Matrix:
    """Return the warp (3, 3) that takes the page's corners, clockwise from left above, to these places."""
    rows, right = [], []
    for (x, y), (u, v) in zip(UNIT_SQUARE, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    solved = np.linalg.solve(np.array(rows), np.array(right))
    return np.append(solved, 1.0).reshape(3, 3)


def turned(degrees: float, width: int, height: int) -> Matrix:
    """Return the warp (3, 3) that turns a page clockwise about its middle, and makes it smaller to keep it whole."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wide, high = width * cosine + height * abs(sine), width * abs(sine) + height * cosine
    scale = min(width / wide, height / high)
    turn = np.array([[scale * cosine, -scale * sine, 0], [scale * sine, scale * cosine, 0], [0, 0, 1]])
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    pixels = np.diag([width, height, 1.0])
    warp: Matrix = np.linalg.inv(pixels) @ np.linalg.inv(middle) @ turn @ middle @ pixels
    return warp


def coefficients(warp: Matrix, width: int, height: int) -> list[float]:
    """Return the eight numbers with which Pillow's PERSPECTIVE finds, for a pixel it draws, the one to take."""
    pixels = np.diag([width, height, 1.0])
    back = np.linalg.inv(pixels @ warp @ np.linalg.inv(pixels))
    numbers: list[float] = (back / back[2, 2]).ravel()[:8].tolist()
    return numbers


def moved(box: tuple[int, int, int, int], warp: Warp, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the upright rectangle around a box after a warp, in whole pixels within the picture."""
    left, top, right, bottom = boxes.moved((box[0] / width, box[1] / height, box[2] / width, box[3] / height), warp)
    pixels = math.floor(left * width), math.floor(top * height), math.ceil(right * width), math.ceil(bottom * height)
    return max(0, pixels[0]), max(0, pixels[1]), pixels[2], pixels[3]
