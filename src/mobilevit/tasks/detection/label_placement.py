"""Where the labels of boxes go: by their box, in the image, beside each other, and not over what they speak of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int, int, int]  # left, top, right, bottom in pixels; a box as it is drawn, or a label
Places = NDArray[np.float64]  # (N, 4)


class Spots:
    """The room that is left for labels in an image of `size` with these boxes."""

    def __init__(self, size: tuple[int, int], boxes: Sequence[Place]) -> None:
        self.size = size
        self.boxes = np.array(boxes, np.float64).reshape(-1, 4)
        self.taken = np.empty((0, 4))

    def take(self, box: Place, texts: Sequence[tuple[str, tuple[int, int]]]) -> tuple[str, Place]:
        """The first of the texts, each with its (width, height), that finds room by `box`, and that room.

        It lies over no other label and hides as little as possible of any box; where no text finds such room, the last
        lies over as little of others as can be.
        """
        found = [(text, *self._best(box, *extent)) for text, extent in texts]
        text, spot, _ = next((each for each in found if each[2]), found[-1])
        self.taken = np.concatenate([self.taken, spot[None]])
        left, top, right, bottom = spot.astype(int).tolist()
        return text, (left, top, right, bottom)

    def _best(self, box: Place, width: int, height: int) -> tuple[Places, bool]:
        """(4,) the best spot for a label of that size, and whether it lies over no other label."""
        spots = self._by(box, width, height)
        clash = _shared(spots, self.taken).sum(axis=1)
        hidden = (_shared(spots, self.boxes) / _areas(self.boxes)).sum(axis=1).round(1)  # a little more is no matter
        best = np.lexsort((hidden, clash))[0]
        return spots[best], bool(clash[best] == 0)

    def _by(self, box: Place, width: int, height: int) -> Places:
        """(10, 4): a label above, below, inside and beside the box, moved into the image; the likest ones first."""
        left, top, right, bottom = box
        starts = np.array(
            [
                (left, top - height),
                (left, bottom),
                (right - width, top - height),
                (right - width, bottom),
                (left, top),
                (left, bottom - height),
                (right, top),
                (left - width, top),
                (right, bottom - height),
                (left - width, bottom - height),
            ],
            np.float64,
        )
        extent = np.array([width, height])
        starts = starts.clip(0, np.maximum(np.array(self.size) - extent, 0))
        return np.concatenate([starts, starts + extent], axis=1)


def _shared(a: Places, b: Places) -> NDArray[np.float64]:
    """(N, M) areas that places share."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    return np.asarray((high - low).clip(0).prod(axis=2))


def _areas(places: Places) -> NDArray[np.float64]:
    return np.asarray((places[:, 2:] - places[:, :2]).prod(axis=1).clip(1))
