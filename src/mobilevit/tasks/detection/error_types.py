"""Which of the boxes found in an image are right, what is wrong with the others, and which objects were missed."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilevit.boxes import iou
from mobilevit.datasets.box_target import Boxes

SAME = 0.5  # least IoU of a box with the object that it is right about
NEAR = 0.1  # least IoU of a box that is meant for an object and lies beside it


class Verdict(IntEnum):
    """On a box that was found."""

    RIGHT = 0
    LOCALIZATION = 1  # near an object of its class
    CLASSIFICATION = 2  # on an object of another class
    DUPLICATE = 3  # on an object that a box of a higher score has found
    BACKGROUND = 4  # nothing of the kind is there
    IGNORED = 5  # in a crowd, or on an object that does not count


FALSE = (Verdict.LOCALIZATION, Verdict.CLASSIFICATION, Verdict.DUPLICATE, Verdict.BACKGROUND)


class Comparison(NamedTuple):
    """Of N boxes with M true ones."""

    verdicts: NDArray[np.int8]  # (N,) of Verdict
    owners: NDArray[np.int64]  # (N,) the true box of those that are right, else -1
    missed: NDArray[np.bool_]  # (M,) true boxes that count and were not found

    @property
    def objects(self) -> int:
        """True boxes that count."""
        return int((self.verdicts == Verdict.RIGHT).sum() + self.missed.sum())

    @property
    def errors(self) -> int:
        """False boxes and missed ones."""
        return int(np.isin(self.verdicts, FALSE).sum() + self.missed.sum())

    def of_first(self, count: int) -> "Comparison":
        """Of the `count` highest-scoring boxes alone: no verdict depends on a box of a lower score."""
        missed = self.missed.copy()
        missed[self.owners[count:][self.owners[count:] >= 0]] = True
        return Comparison(self.verdicts[:count], self.owners[:count], missed)


def compare(boxes: NDArray[np.float32], labels: NDArray[np.int64], truth: Boxes) -> Comparison:
    """Boxes (N, 4) of an image, highest score first, with the true ones, both in pixels of it.

    In this order each takes the object of its class that it overlaps most, by SAME at least, among those still free:
    as COCO's evaluation does.
    """
    overlaps = iou(boxes, truth.boxes)
    alike = labels[:, None] == truth.labels
    verdicts, owners = _unless_right(boxes, overlaps, alike, truth), np.full(len(boxes), -1)
    free, fitting = ~truth.ignore, (overlaps >= SAME) & alike & ~truth.ignore
    for place in np.flatnonzero(fitting.any(axis=1)):
        fits = np.flatnonzero(fitting[place] & free)
        if len(fits):
            owners[place] = fits[overlaps[place, fits].argmax()]
            free[owners[place]] = False
            verdicts[place] = Verdict.RIGHT
    return Comparison(verdicts, owners, free)


def _unless_right(
    boxes: NDArray[np.float32], overlaps: NDArray[np.float32], alike: NDArray[np.bool_], truth: Boxes
) -> NDArray[np.int8]:
    """(N,) the verdict on each box if it takes no object, from its overlaps (N, M) and which have its class (N, M)."""
    cases = {
        Verdict.IGNORED: alike & truth.ignore & (_inside(boxes, truth.boxes) >= SAME),
        Verdict.DUPLICATE: alike & (overlaps >= SAME),
        Verdict.CLASSIFICATION: ~alike & (overlaps >= SAME),
        Verdict.LOCALIZATION: alike & (overlaps >= NEAR),
    }
    verdicts = np.full(len(boxes), Verdict.BACKGROUND, np.int8)
    for verdict, which in reversed(cases.items()):  # an earlier case goes before
        verdicts[which.any(axis=1)] = verdict
    return verdicts


def _inside(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, M): the share of each box that lies in each of the others."""
    sides = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    return np.asarray(sides.clip(0).prod(axis=2) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None])
