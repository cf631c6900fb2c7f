"""Class maps at another size: by nearest, in integers, so that every runtime and machine gives the same."""

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.mask_target import Classes


def resized(classes: Classes, size: tuple[int, int]) -> Classes:
    """(h, w) to (H, W) for a `size` of (W, H): each pixel has the class of the one that its center falls upon."""
    height, width = classes.shape
    rows, columns = nearest(height, size[1]), nearest(width, size[0])
    return classes.take(rows, axis=0).take(columns, axis=1)


def areas(classes: Classes, size: tuple[int, int], num_classes: int) -> NDArray[np.int64]:
    """(K,) how many pixels each class has in `resized(classes, size)`, without making it."""
    height, width = classes.shape
    rows = np.bincount(nearest(height, size[1]), minlength=height)
    columns = np.bincount(nearest(width, size[0]), minlength=width)
    times = rows[:, None] * columns
    return np.bincount(classes.ravel(), weights=times.ravel(), minlength=num_classes).astype(np.int64)


def nearest(length: int, wanted: int) -> NDArray[np.int64]:
    """(wanted,) for each of `wanted` pixels the one of `length` that its center falls upon."""
    return (2 * np.arange(wanted, dtype=np.int64) + 1) * length // (2 * wanted)
