"""Boxes as arrays: IoU, decoding relative to anchors, and non-maximum suppression. Pure, and of NumPy alone.

A box is x1, y1, x2, y2 (corners) or center x, center y, width, height (centers); in any unit, as long as it is one.
What a loss and an exported graph need on the device is in `tasks.detection.box_tensors`; a test holds the two equal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

VARIANCES = (0.1, 0.2)  # of the coded center and of the coded size (SSD)

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union. (..., N, 4), (..., M, 4), corners -> (..., N, M), 0-1; 0 where both boxes are empty."""
    # each side by itself in memory, and (N, M) in place: both cost more than the arithmetic
    left, top, right, bottom = np.ascontiguousarray(np.moveaxis(a, -1, 0))[..., None]
    left2, top2, right2, bottom2 = np.ascontiguousarray(np.moveaxis(b, -1, 0))[..., None, :]
    shared, height = np.minimum(right, right2), np.minimum(bottom, bottom2)
    with np.errstate(invalid="ignore", over="ignore"):  # of boxes that are not finite, which overlap nothing
        np.maximum(np.subtract(shared, np.maximum(left, left2), out=shared), 0, out=shared)
        np.maximum(np.subtract(height, np.maximum(top, top2), out=height), 0, out=height)
        np.multiply(shared, height, out=shared)
        union = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
        np.maximum(np.subtract(union, shared, out=union), np.finfo(union.dtype).tiny, out=union)
        np.divide(shared, union, out=shared)
    return np.asarray(shared)


def corners(boxes: Floats) -> Floats:
    """(..., 4) centers -> corners."""
    center, size = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([center - size / 2, center + size / 2], axis=-1)


def decode(locations: Floats, anchors: Floats) -> Floats:
    """(..., 4) of the model at (..., 4) anchors, centers -> corners, not clipped."""
    center = anchors[..., :2] + locations[..., :2] * VARIANCES[0] * anchors[..., 2:]
    size = anchors[..., 2:] * np.exp(locations[..., 2:] * VARIANCES[1])
    return corners(np.concatenate([center, size], axis=-1))


def nms(boxes: Floats, scores: Floats, labels: Indices, threshold: float) -> Indices:
    """The boxes that stay, as indices (K,), best score first: exact greedy non-maximum suppression within each class.

    boxes (N, 4) corners, scores (N,), labels (N,) of whole numbers. Of one class the best box stays and takes away
    every other whose IoU with it is above `threshold`, then the best of those left, and so on. Of equal scores the
    first counts as the better.

    Classes of similar size are handled together, as a batch filled up with empty boxes: 4,000 candidates of 80 classes
    take a few milliseconds on one core (benchmarks/nms.py).
    """
    order = by_score(scores)  # what follows counts along it
    boxes = boxes[order].astype(np.promote_types(boxes.dtype, np.float32), copy=False)
    grouped, starts, sizes = by_class(labels[order])
    stays = np.zeros(len(order), np.bool_)
    for group in _alike(sizes):
        places = np.arange(sizes[group].max())
        filled = places < sizes[group, None]  # (classes, places)
        rows = grouped[np.where(filled, starts[group, None] + places, 0)]
        stays[rows[filled]] = _greedy(np.where(filled[..., None], boxes[rows], 0), threshold)[filled]
    return order[stays]


def by_score(scores: Floats) -> Indices:
    """(N,) the order of scores (N,), highest first; of equal ones the first."""
    return np.argsort(-scores, kind="stable")


def by_class(labels: Indices) -> tuple[Indices, Indices, Indices]:
    """Rows (N,) grouped by their label, each group in the order of the rows; where each group starts, and its size."""
    grouped = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[grouped], return_index=True, return_counts=True)
    return grouped, starts, sizes


def _alike(sizes: Indices) -> list[Indices]:
    """The indices of `sizes` (C,) in groups, in each of which no size is more than twice another."""
    magnitudes = np.floor(np.log2(sizes))
    return [np.flatnonzero(magnitudes == value) for value in np.unique(magnitudes)]


def _greedy(boxes: Floats, threshold: float) -> NDArray[np.bool_]:
    """Which boxes stay, of (C, M, 4) with the best first in each class -> (C, M).

    Block after block: what stays of a block is settled among its own boxes, then takes away from all behind it.
    """
    stays = np.ones(boxes.shape[:2], np.float32)
    better = np.triu(np.ones((BLOCK, BLOCK), np.float32), 1)  # [i, j]: i is better than j
    for start in range(0, boxes.shape[1], BLOCK):
        block, behind = slice(start, start + BLOCK), slice(start + BLOCK, None)
        takes = (iou(boxes[:, block], boxes[:, start:]) > threshold).astype(np.float32)  # [c, i, j]: i takes j away
        own = takes[..., :BLOCK]
        stays[:, block] = _settled(stays[:, block], own * better[: own.shape[1], : own.shape[1]])
        stays[:, behind] *= _untaken(stays[:, block], takes[..., BLOCK:])
    return stays > 0


BLOCK = 64  # boxes of a class; by measurement (benchmarks/nms.py)


def _settled(candidates: NDArray[np.float32], takes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which of the candidates (C, M), 0 or 1, stay, where only better ones take away (C, M, M) -> (C, M), 0 or 1.

    Starting from all of them and asking again settles one more box of each class a round at least, and mostly
    everything in a few; what no longer changes is the greedy answer.
    """
    stays = candidates
    while True:
        asked = candidates * _untaken(stays, takes)
        if np.array_equal(asked, stays):
            return stays
        stays = asked


def _untaken(stays: NDArray[np.float32], takes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(C, M) which boxes none of those that stay (C, N) takes away (C, N, M)."""
    return np.asarray(np.matmul(stays[:, None], takes)[:, 0] == 0)
