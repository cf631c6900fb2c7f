"""The loss of SSD (section 2.2): what is at the anchors, and where exactly, against a background that is everywhere."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilevit.models.ssdlite import SSDOutput
from mobilevit.tasks.base import Loss, LossOptions
from mobilevit.tasks.detection.box_tensors import encode
from mobilevit.tasks.detection.matching import BoxBatch, match

NEGATIVES = 3  # anchors of the background that count, for each that has an object


def multibox(raw: SSDOutput, targets: BoxBatch, options: LossOptions) -> Loss:
    """Cross entropy over the anchors with objects and the hardest others, plus smooth L1 over the boxes of the former.

    The count is that of the anchors with objects, of each image one at least; so an image without objects gives its
    hardest NEGATIVES, and one with objects what the official code gives. `label_smoothing` as in classification, over
    all classes and the background. With `class_weights` an anchor's terms count as much as its object's class,
    those of the background once.
    """
    scores, locations = _precise(raw.scores), _precise(raw.locations)
    label_smoothing, class_weights = options.label_smoothing, options.class_weights
    box = match(targets, raw.anchors, options.anchors_per_box)
    positive = box >= 0
    count = positive.sum(dim=1).clamp(min=1)
    negative = _hardest(scores, positive, NEGATIVES * count)
    image, anchor = positive.nonzero(as_tuple=True)  # once: on a GPU every question of how many there are waits
    chosen = image, box[image, anchor]
    labels = targets.labels[chosen] + 1
    wanted = encode(targets.boxes[chosen], raw.anchors[anchor]).to(locations)

    found = F.cross_entropy(scores[image, anchor], labels, label_smoothing=label_smoothing, reduction="none")
    placed = F.smooth_l1_loss(locations[image, anchor], wanted, reduction="none").sum(dim=1)
    of_objects = found + placed
    if class_weights is not None:
        of_objects = of_objects * class_weights.to(of_objects)[labels - 1]
    background = scores[negative]
    nothing = torch.zeros_like(background[:, 0], dtype=torch.int64)
    of_background = F.cross_entropy(background, nothing, label_smoothing=label_smoothing, reduction="sum")
    return Loss(of_objects.sum() + of_background, count.sum().to(scores))


def _precise(said: Tensor) -> Tensor:
    return said.to(torch.promote_types(said.dtype, torch.float32))


@torch.no_grad()
def _hardest(scores: Tensor, positive: Tensor, counts: Tensor) -> Tensor:
    """(B, A) bool: of each image the `counts` (B,) anchors without object that are taken least for background.

    `scores` (B, A, K + 1) logits, the background first; `positive` (B, A) bool. Of equal ones the first.
    """
    hardness = scores.logsumexp(dim=2) - scores[..., 0]  # -log of the background's probability
    hardness.masked_fill_(positive, -torch.inf)
    order = hardness.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device)
    counts = torch.minimum(counts, (~positive).sum(dim=1))
    return torch.zeros_like(positive).scatter_(1, order, places < counts[:, None])
