"""Which anchor is to find which box (SSD, section 2.2), for a whole batch at once."""

import torch
from torch import Tensor

from mobilevit import boxes as geometry
from mobilevit.tasks.detection.crops import BoxBatch

THRESHOLD = 0.5  # least IoU of an anchor with the box it is to find


@torch.no_grad()
def match(targets: BoxBatch, anchors: Tensor) -> Tensor:
    """(B, A) int64: which of the M boxes every anchor is to find, -1 for none. `anchors` (A, 4), centres.

    Every anchor takes the box that it overlaps most, if by THRESHOLD at least; every box gets its best anchor. Where
    two boxes have the same best anchor, the later one gets it; of equal overlaps the first counts as the best.

    Done in pieces of a few pictures, as the overlaps of a large batch would not fit the processor's cache.
    """
    corners = geometry.corners(anchors).t().contiguous().t()  # all left sides beside each other: twice as fast
    pictures = max(1, PIECE // (targets.labels.shape[1] * len(corners)))
    pieces = zip(torch.split(targets.boxes, pictures), torch.split(targets.labels, pictures), strict=True)
    return torch.cat([_match(boxes, labels >= 0, corners) for boxes, labels in pieces])


PIECE = 2**17  # overlaps


def _match(boxes: Tensor, there: Tensor, anchors: Tensor) -> Tensor:
    """(B, A) for boxes (B, M, 4), of which only those count that are `there` (B, M), and anchors (A, 4), corners."""
    overlaps = geometry.iou(boxes, anchors).masked_fill_(~there[..., None], -1.0)  # (B, M, A)
    box = torch.full_like(overlaps[:, 0], -1, dtype=torch.int64)
    picture, anchor = (overlaps.amax(dim=1) >= THRESHOLD).nonzero(as_tuple=True)
    box[picture, anchor] = overlaps[picture, :, anchor].argmax(dim=1)
    places = torch.where(there, torch.arange(there.shape[1], device=there.device), -1)
    forced = torch.full_like(box, -1).scatter_reduce_(1, overlaps.argmax(dim=2), places, "amax")
    return torch.where(forced >= 0, forced, box)
