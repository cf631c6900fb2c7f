"""Masks as COCO stores them: lengths of runs of 0 and 1 in turn, down the columns, plain or packed into text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Where = NDArray[np.bool_]  # (H, W)


def runs_of(where: Where) -> list[int]:
    """(H, W) to lengths whose sum is H * W, the first of pixels that are not in the mask."""
    flat = where.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = [0, *([0] if flat.size and flat[0] else []), *changes.tolist(), flat.size]
    return np.diff(edges).tolist()


def mask_of(runs: Sequence[int], size: tuple[int, int]) -> Where:
    """The inverse, of a (width, height); the runs fill it."""
    width, height = size
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, np.asarray(runs, np.int64))
    return flat.reshape((height, width), order="F")


def packed(runs: Sequence[int]) -> str:
    """Runs as text: from the fourth on differences to the last but one, each in digits of 5 bits, lowest first."""
    characters = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        while True:
            digit, value = value & 0x1F, value >> 5
            is_last = value == (-1 if digit & 0x10 else 0)
            characters.append(chr(48 + digit + (0 if is_last else 0x20)))
            if is_last:
                break
    return "".join(characters)
