"""Where a place of a page is after its picture was tilted or turned.

A warp is nine numbers, the rows of a 3 x 3 matrix that takes (x, y, 1) of the clean page to the degraded one. Both
count in shares of width and height, 0 to 1; a degraded picture is as large as the clean one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Warp = tuple[float, ...]
Box = tuple[float, float, float, float]
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
    matrix = np.array(warp).reshape(3, 3)
    left, top, right, bottom = box
    corners = np.array([[x / width, y / height, 1] for x in (left, right) for y in (top, bottom)]) @ matrix.T
    places = corners[:, :2] / corners[:, 2:] * (width, height)
    (least_x, least_y), (most_x, most_y) = places.min(axis=0), places.max(axis=0)
    return max(0, math.floor(least_x)), max(0, math.floor(least_y)), math.ceil(most_x), math.ceil(most_y)
