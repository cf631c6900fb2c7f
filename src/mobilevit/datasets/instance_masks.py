"""Instance masks, whose values number objects instead of classes: how to recognize and convert them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.finding import Finding
from mobilevit.datasets.mask_target import IGNORED, Classes, Mask
from mobilevit.images import decoding

LEAST_MASKS = 3  # with an object, below which nothing is concluded
REMEDY = (
    "`mobilevit convert-data IN OUT --instances NAME --to coco` creates a box for each object, `--to masks` one "
    "class for all; if they are classes, list them in classes.txt"
)


def findings(values: Sequence[AbstractSet[int]]) -> list[Finding]:
    """A warning where the values of masks, a set for each, count objects."""
    objects = _objects(values)
    if _count_up(objects):
        largest = max(map(len, objects))
        how = f"start at 1 in every image without gaps, up to {largest} here"
    elif _go_on(objects):
        how = "never occur in more than one image"
    else:
        return []
    message = (
        f"the values of the masks {how}, as those of instance masks do, so they are objects, not classes: {REMEDY}"
    )
    return [Finding("warning", "instances", message)]


def _objects(values: Sequence[AbstractSet[int]]) -> list[set[int]]:
    """Those of each mask that has some beside the background and pixels to ignore."""
    objects = [set(found) - {0, IGNORED} for found in values]
    return [found for found in objects if found]


def _count_up(objects: Sequence[set[int]]) -> bool:
    """1 to n in each, and n differs. Classes do so where each occurs only beside all that come before it."""
    lengths = {len(found) for found in objects}
    return len(objects) >= LEAST_MASKS and len(lengths) > 1 and all(max(found) == len(found) for found in objects)


def _go_on(objects: Sequence[set[int]]) -> bool:
    """No value in two masks: a count through the whole dataset."""
    different = set().union(*objects)
    return len(objects) >= LEAST_MASKS and len(different) == sum(map(len, objects)) and min(different) > 0


class InstanceMask(Mask):
    """A mask whose values, or colors, are objects: 0 and black are the background, 255 counts for nothing.

    In masks of 16 bits 255 is an object like any other; in colors, Pascal VOC's pale border counts for nothing.
    """

    def read(self) -> Classes:
        """(H, W) uint8: 1 where an object is."""
        numbers = self.numbers()
        return np.where(numbers == NOTHING, IGNORED, numbers > 0).astype(np.uint8)

    def numbers(self) -> NDArray[np.int64]:
        """(H, W) of the object of each pixel, 0 for the background, NOTHING where a pixel counts for nothing."""
        with decoding.opened(self.path) as source:
            stored = source.values()
        if stored.ndim == 3 and (stored != stored[..., :1]).any():
            packed: NDArray[np.int64] = stored.astype(np.int64) @ (65536, 256, 1)
            return np.where(packed == BORDER, NOTHING, packed)
        values = stored[..., 0] if stored.ndim == 3 else stored
        return np.where((values == IGNORED) & (stored.dtype == np.uint8), NOTHING, values.astype(np.int64))

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """Left, top, right, bottom around each object, in the order of their values."""
        found = []
        numbers = self.numbers()
        for number in np.unique(numbers[numbers > 0]).tolist():
            rows, columns = np.nonzero(numbers == number)
            found.append((int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1))
        return found


NOTHING = -1
BORDER = 0xE0E0C0  # 224, 224, 192
