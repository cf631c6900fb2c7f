"""The loss of the paper: cross entropy over the pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilevit.datasets.mask_target import IGNORED
from mobilevit.models.deeplabv3 import SegmentationOutput
from mobilevit.tasks.base import Loss

AUXILIARY_WEIGHT = 0.4  # of the auxiliary head's loss beside the main one (official code)
PIXELS = 65536.0  # of an image of 256 x 256: keeps totals and counts in the range of a classifier's


def cross_entropy(
    raw: SegmentationOutput, targets: Tensor, *, label_smoothing: float, class_weights: Tensor | None
) -> Loss:
    """The sum over the pixels that are not IGNORED, in units of PIXELS of them; so is the count.

    `targets` (B, H, W) uint8. With `class_weights` (K,) a pixel counts as much as its class. The auxiliary logits are
    resized to the mask bilinearly. A batch whose pixels are all ignored gives zeros.
    """
    weights = _pixel_weights(targets, class_weights, raw.logits.shape[1])
    total = _weighted(raw.logits, targets, weights, label_smoothing)
    if raw.auxiliary is not None:
        auxiliary = F.interpolate(raw.auxiliary, size=targets.shape[1:], mode="bilinear", align_corners=False)
        total = total + AUXILIARY_WEIGHT * _weighted(auxiliary, targets, weights, label_smoothing)
    return Loss(total / PIXELS, weights.sum() / PIXELS)


def _pixel_weights(targets: Tensor, class_weights: Tensor | None, num_classes: int) -> Tensor:
    """(B, H, W) float32."""
    table = torch.zeros(IGNORED + 1, device=targets.device)
    table[:num_classes] = 1.0 if class_weights is None else class_weights
    table[IGNORED] = 0.0
    return table[targets.long()]


def _weighted(logits: Tensor, targets: Tensor, weights: Tensor, label_smoothing: float) -> Tensor:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    losses = F.cross_entropy(
        logits, targets.long(), ignore_index=IGNORED, label_smoothing=label_smoothing, reduction="none"
    )
    return (weights * losses).sum()
