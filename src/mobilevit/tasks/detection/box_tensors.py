"""Boxes on the device: what the loss and the exported graph calculate, in torch. `mobilevit.boxes` has it in NumPy."""

import torch
from torch import Tensor

from mobilevit.boxes import VARIANCES


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
