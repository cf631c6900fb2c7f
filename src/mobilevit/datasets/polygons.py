"""Conversion between masks and polygons.

One rule both ways: a pixel belongs to a polygon where its center lies inside, by the even-odd rule. Outlines follow the
edges of pixels, so that they give back exactly their mask.
"""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.runs import Where

Points = NDArray[np.float64]  # (N, 2) corners in pixels, x and y
Loop = list[tuple[int, int]]  # corners of a polygon along the edges of pixels


def filled(points: Points, size: tuple[int, int]) -> Where:
    """(H, W) the pixels of an image of this (width, height) whose centers lie inside a polygon.

    Each row of centers is crossed by some of the edges; a pixel lies inside where an odd number of them is left of its
    center.
    """
    width, height = size
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, axis=0).T
    first, last = (
        np.ceil(np.clip(y, 0, height) - 0.5).astype(np.int64) for y in (np.minimum(y0, y1), np.maximum(y0, y1))
    )
    counts = last - first
    edge = np.repeat(np.arange(len(points)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    slope = np.divide(x1 - x0, y1 - y0, out=np.zeros(len(points)), where=y1 != y0)
    crossing = x0[edge] + (row + 0.5 - y0[edge]) * slope[edge]
    column = np.ceil(np.clip(crossing, 0, width) - 0.5).astype(np.int64)
    toggles = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, width + 1)
    return np.asarray(np.cumsum(toggles[:, :width], axis=1) % 2 == 1)


def outlines(where: Where) -> list[Loop]:
    """Polygons whose union is exactly the mask (H, W), none with a hole: they are cut from top to bottom at holes."""
    loops = _loops(where)
    holes = sorted(min(x for x, _ in loop) for loop in loops if _area(loop) < 0)
    if not holes:
        return loops
    cut = holes[len(holes) // 2]  # the left edge of a hole, which is open on the right of the cut
    left, right = where.copy(), where.copy()
    left[:, cut:], right[:, :cut] = False, False
    return [*outlines(left), *outlines(right)]


def _loops(where: Where) -> list[Loop]:
    """The closed lines between pixels inside and outside, inside on the right; those around holes have negative areas.

    Of four pixels around a corner of which two that touch there alone are inside, each keeps a line of its own.
    """
    ways = _ways(where)
    left = {(point, direction): None for point, directions in ways.items() for direction in directions}
    loops = []
    while left:
        first = edge = next(iter(left))
        loop = []
        while edge in left:
            del left[edge]
            (x, y), (dx, dy) = edge
            point = x + dx, y + dy
            ahead = (-dy, dx) if len(ways[point]) > 1 else ways[point][0]
            if ahead != (dx, dy):
                loop.append(point)
            edge = point, ahead
        assert edge == first, "every line comes back to its beginning"
        loops.append(loop)
    return loops


def _ways(where: Where) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """From each corner of pixels the directions in which an edge goes on that has an inner pixel on its right alone."""
    padded = np.pad(where, 1)
    above, below = padded[:-1, 1:-1], padded[1:, 1:-1]
    before, after = padded[1:-1, :-1], padded[1:-1, 1:]
    ways: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for edges, (dx, dy), (shift_x, shift_y) in (
        (below & ~above, (1, 0), (0, 0)),
        (above & ~below, (-1, 0), (1, 0)),
        (after & ~before, (0, -1), (0, 1)),
        (before & ~after, (0, 1), (0, 0)),
    ):
        for y, x in np.argwhere(edges).tolist():
            ways[x + shift_x, y + shift_y].append((dx, dy))
    return ways


def _area(loop: Loop) -> float:
    x, y = np.array(loop, np.float64).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
