"""Which anchor is to find which box (SSD, section 2.2), for a whole batch at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mobilevit.tasks.detection import box_tensors
from mobilevit.tasks.detection.crops import Seen

THRESHOLD = 0.5  # least IoU of an anchor with the box it is to find


@dataclass(frozen=True)
class BoxBatch:
    """The objects of a batch of training images, filled up to the same number for each, which is one at least."""

    boxes: Tensor  # (B, M, 4) float32 corners in normalized coordinates; zeros where there is none
    labels: Tensor  # (B, M) int64 class indices; -1 where there is none

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "BoxBatch":
        return BoxBatch(
            self.boxes.to(device, non_blocking=non_blocking), self.labels.to(device, non_blocking=non_blocking)
        )

    def pin_memory(self) -> "BoxBatch":
        return BoxBatch(self.boxes.pin_memory(), self.labels.pin_memory())


def collate(targets: Sequence[Seen]) -> BoxBatch:
    """The objects of each image, (N, 4) and (N,), as a batch."""
    most = max(1, *(len(target.labels) for target in targets))
    boxes = torch.zeros(len(targets), most, 4)
    labels = torch.full((len(targets), most), -1)
    for place, target in enumerate(targets):
        count = len(target.labels)
        boxes[place, :count] = torch.from_numpy(target.boxes)
        labels[place, :count] = torch.from_numpy(target.labels)
    return BoxBatch(boxes, labels)


@torch.no_grad()
def match(targets: BoxBatch, anchors: Tensor, per_box: int = 1) -> Tensor:
    """(B, A) int64: which of the M boxes every anchor is to find, -1 for none. `anchors` (A, 4), centers.

    Every anchor takes the box that it overlaps most, if by THRESHOLD at least; every box gets its best anchor. Where
    two boxes have the same best anchor, the later one gets it; of equal overlaps the first counts as the best.

    With `per_box` above 1 a box also gets those of its `per_box` best anchors that overlap it by LEAST and have no box
    yet: for boxes too small for any anchor (S3FD, Zhang et al., ICCV 2017, section 3.2, its second stage). Where two
    boxes want the same anchor, the one gets it that it overlaps more.

    Done in pieces: on a CPU of a few images, as the overlaps of a large batch would not fit its cache; elsewhere of
    as many as memory should hold, since a GPU is slowed by many small operations.
    """
    corners = box_tensors.corners(anchors).t().contiguous().t()  # all left sides beside each other: twice as fast
    piece = CPU_PIECE if anchors.device.type == "cpu" else GPU_PIECE
    images = max(1, piece // (targets.labels.shape[1] * len(corners)))
    pieces = zip(torch.split(targets.boxes, images), torch.split(targets.labels, images), strict=True)
    return torch.cat([_match(boxes, labels >= 0, corners, per_box) for boxes, labels in pieces])


CPU_PIECE = 2**17  # overlaps
GPU_PIECE = 2**26  # 256 MB in float32
LEAST = 0.1  # IoU of a box with the anchors that it gets beyond its best


def _match(boxes: Tensor, there: Tensor, anchors: Tensor, per_box: int) -> Tensor:
    """(B, A) for boxes (B, M, 4), of which only those count that are `there` (B, M), and anchors (A, 4), corners."""
    overlaps = box_tensors.iou(boxes, anchors).masked_fill_(~there[..., None], -1.0)  # (B, M, A)
    box = torch.full_like(overlaps[:, 0], -1, dtype=torch.int64)
    image, anchor = (overlaps.amax(dim=1) >= THRESHOLD).nonzero(as_tuple=True)
    box[image, anchor] = overlaps[image, :, anchor].argmax(dim=1)
    if per_box > 1:
        wanted, owner = _wanted(overlaps, per_box)
        box = torch.where((box < 0) & (wanted >= LEAST), owner, box)
    places = torch.where(there, torch.arange(there.shape[1], device=there.device), -1)
    forced = torch.full_like(box, -1).scatter_reduce_(1, overlaps.argmax(dim=2), places, "amax")
    return torch.where(forced >= 0, forced, box)


def _wanted(overlaps: Tensor, per_box: int) -> tuple[Tensor, Tensor]:
    """Of the boxes that have an anchor among their best ones the largest overlap with it, 0 where there is none, and
    which box that is: (B, A) each."""
    best = overlaps.topk(min(per_box, overlaps.shape[2]), dim=2)
    return torch.zeros_like(overlaps).scatter_(2, best.indices, best.values).max(dim=1)
