"""Closed contours as pixels.

A pixel belongs to a structure where its centre lies inside an odd number of the contours of its plane: an inner
contour is a hole, several contours are several pieces, and a keyhole, whose way in and way out are the same line, is a
hole too.

rt-utils 1.2.7, the library in use, is not right: it fills polygons with OpenCV, which rounds their corners to whole
pixels and takes the pixels under the line too. A square of 36 pixels gets 49; one of 64 with a hole of 4 gets 80.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def filled(contours: Iterable[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The pixels whose centres lie inside an odd number of contours.

    Args:
        contours: Corners of each as N x 2, column and row; the centre of the first pixel is (0, 0).
        shape: Rows and columns.

    Returns:
        Rows x columns of 0 and 1.
    """
    rows, columns = shape
    # Each edge turns all pixels to the right of where it crosses their row; one sum along the rows then gives all.
    turns = np.zeros((rows, columns + 1), np.int64)
    for corners in contours:
        following = np.roll(corners, -1, axis=0)
        low, high = np.minimum(corners[:, 1], following[:, 1]), np.maximum(corners[:, 1], following[:, 1])
        # Rows with low <= row < high: a corner that lies on a row is counted by one of its edges.
        first = np.clip(np.ceil(low), 0, rows).astype(np.int64)
        counts = np.clip(np.ceil(high), 0, rows).astype(np.int64) - first
        edges = np.repeat(np.arange(len(corners)), counts)
        row = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edges]
        (x0, y0), (x1, y1) = corners[edges].T, following[edges].T
        crossing = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
        np.add.at(turns, (row, np.clip(np.ceil(crossing), 0, columns).astype(np.int64)), 1)
    return (np.cumsum(turns, axis=1)[:, :columns] & 1).astype(np.uint8)
