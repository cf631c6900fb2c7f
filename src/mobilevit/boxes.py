"""Boxes: overlap, coding relative to anchors, and non-maximum suppression. Pure, and of torch alone.

A box is x1, y1, x2, y2 (corners) or center x, center y, width, height (centers); in any unit, as long as it is one.
"""

import torch
from torch import Tensor

VARIANCES = (0.1, 0.2)  # of the coded center and of the coded size (SSD)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union. (..., N, 4), (..., M, 4), corners -> (..., N, M), 0-1; 0 where both boxes are empty."""
    # each side by itself in memory, and (N, M) in place: both cost more than the arithmetic
    left, top, right, bottom = a.movedim(-1, 0).unsqueeze(-1).contiguous()
    left2, top2, right2, bottom2 = b.movedim(-1, 0).unsqueeze(-2).contiguous()
    width = torch.minimum(right, right2).sub_(torch.maximum(left, left2)).clamp_(min=0)
    height = torch.minimum(bottom, bottom2).sub_(torch.maximum(top, top2)).clamp_(min=0)
    shared = width.mul_(height)
    areas = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    return shared.div_(areas.sub_(shared).clamp_(min=torch.finfo(areas.dtype).tiny))


def corners(boxes: Tensor) -> Tensor:
    """(..., 4) centers -> corners."""
    center, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([center - size / 2, center + size / 2], dim=-1)


def centers(boxes: Tensor) -> Tensor:
    """(..., 4) corners -> centers."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """What the model should say of `boxes` (..., 4), corners, at `anchors` (..., 4), centers. Sides must not be 0."""
    boxes = centers(boxes)
    offset = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:] / VARIANCES[0]
    growth = (boxes[..., 2:] / anchors[..., 2:]).log() / VARIANCES[1]
    return torch.cat([offset, growth], dim=-1)


def decode(locations: Tensor, anchors: Tensor) -> Tensor:
    """The inverse of `encode`: (..., 4) of the model, (..., 4) centers -> corners, not clipped."""
    center = anchors[..., :2] + locations[..., :2] * VARIANCES[0] * anchors[..., 2:]
    size = anchors[..., 2:] * (locations[..., 2:] * VARIANCES[1]).exp()
    return corners(torch.cat([center, size], dim=-1))


def nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """The boxes that stay, as indices (K,), best score first: exact greedy non-maximum suppression within each class.

    boxes (N, 4) corners, scores (N,), labels (N,) of whole numbers. Of one class the best box stays and takes away
    every other whose IoU with it is above `threshold`, then the best of those left, and so on. Of equal scores the
    first counts as the better.

    Classes of similar size are handled together, as a batch filled up with empty boxes: 4,000 candidates of 80 classes
    take a few milliseconds on one core (benchmarks/nms.py).
    """
    order = scores.argsort(descending=True, stable=True)  # what follows counts along it
    grouped = labels[order].argsort(stable=True)  # by class, in each the best first
    sizes = torch.unique_consecutive(labels[order[grouped]], return_counts=True)[1]
    starts = sizes.cumsum(0) - sizes
    stays = torch.zeros_like(order, dtype=torch.bool)
    boxes = boxes[order].to(torch.promote_types(boxes.dtype, torch.float32))
    for group in _alike(sizes):
        places = torch.arange(int(sizes[group].max()), device=order.device)
        filled = places < sizes[group, None]  # (classes, places)
        rows = grouped[torch.where(filled, starts[group, None] + places, 0)]
        stays[rows[filled]] = _greedy(boxes[rows] * filled[..., None], threshold)[filled]
    return order[stays]


def _alike(sizes: Tensor) -> list[Tensor]:
    """The indices of `sizes` (C,) in groups, in each of which no size is more than twice another."""
    magnitudes = sizes.log2().floor()
    return [(magnitudes == value).nonzero()[:, 0] for value in sorted(set(magnitudes.tolist()))]


def _greedy(boxes: Tensor, threshold: float) -> Tensor:
    """Which boxes stay, of (C, M, 4) with the best first in each class -> (C, M) bool.

    Block after block: what stays of a block is settled among its own boxes, then takes away from all behind it.
    """
    stays = torch.ones_like(boxes[..., 0])
    better = stays.new_ones(BLOCK, BLOCK).triu(diagonal=1)  # [i, j]: i is better than j
    for start in range(0, boxes.shape[1], BLOCK):
        block, behind = slice(start, start + BLOCK), slice(start + BLOCK, None)
        takes = (iou(boxes[:, block], boxes[:, start:]) > threshold).to(boxes.dtype)  # [c, i, j]: i takes j away
        own = takes[..., :BLOCK]
        stays[:, block] = _settled(stays[:, block], own * better[: own.shape[1], : own.shape[1]])
        stays[:, behind] *= torch.bmm(stays[:, None, block], takes[..., BLOCK:])[:, 0] == 0
    return stays > 0


BLOCK = 64  # boxes of a class; by measurement (benchmarks/nms.py)


def _settled(candidates: Tensor, takes: Tensor) -> Tensor:
    """Which of the candidates (C, M), 0 or 1, stay, where only better ones take away (C, M, M) -> (C, M), 0 or 1.

    Starting from all of them and asking again settles one more box of each class a round at least, and mostly
    everything in a few; what no longer changes is the greedy answer.
    """
    stays = candidates
    while True:
        asked = candidates * (torch.bmm(stays[:, None], takes)[:, 0] == 0)
        if torch.equal(asked, stays):
            return stays
        stays = asked
