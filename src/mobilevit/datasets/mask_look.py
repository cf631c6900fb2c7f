"""Recognizes a mask by its pixels, where no name does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilevit.errors import ImageError
from mobilevit.images import decoding

MOST_VALUES = 64  # values or colors of a mask; a photograph has thousands
NEAR = 24  # of 255: from black or white, which a mask of two values is after JPEG has blurred it
BLACK_OR_WHITE = 0.95  # of the pixels of such a mask


def are_pairs(pairs: Sequence[tuple[Path, Path]]) -> bool:
    """Whether the second of each pair is a mask and the first is not.

    Where both have few colors, as drawings do, the first must have colors and the second none. False where a file
    cannot be read, or two differ in size.
    """
    try:
        looks = [(_look(image), _look(mask)) for image, mask in pairs]
    except ImageError:
        return False
    return bool(looks) and all(
        image.size == mask.size and mask.few and (not image.few or (image.in_color and not mask.in_color))
        for image, mask in looks
    )


@dataclass(frozen=True)
class _Look:
    size: tuple[int, int]
    few: bool  # values
    in_color: bool


def _look(path: Path) -> _Look:
    with decoding.opened(path) as source:
        is_jpeg, stored = source.image.format in ("JPEG", "MPO"), source.values()
        size = source.header.size
    in_color = stored.ndim == 3 and bool((stored != stored[..., :1]).any())
    values = stored.astype(np.int64) @ (65536, 256, 1) if stored.ndim == 3 else stored
    few = len(np.unique(values)) <= MOST_VALUES
    if is_jpeg:
        gray = stored if stored.ndim == 2 else stored[..., 0]
        extreme = (gray <= NEAR) | (gray >= 255 - NEAR)
        few = not in_color and bool(extreme.mean() >= BLACK_OR_WHITE)
    return _Look(size, few, in_color)
