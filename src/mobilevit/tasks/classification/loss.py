"""The loss of the paper: cross entropy with label smoothing."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilevit.tasks.base import Loss


def cross_entropy(raw: Tensor, targets: Tensor, *, label_smoothing: float, class_weights: Tensor | None) -> Loss:
    """The sum over samples of (1 - s) * NLL + s / K * sum_k -log p_k, where s is the smoothing (official code, v0.1).

    `raw` (B, K) logits; `targets` (B,) int64 classes, or (B, K) shares of classes that add up to one. With
    `class_weights` (K,) each sample counts as much as its class, and the count is the sum of these weights.
    """
    logits = raw.to(torch.promote_types(raw.dtype, torch.float32))
    losses = F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    if class_weights is None:
        return Loss(losses.sum(), losses.new_full((), len(losses)))  # new_tensor would wait for a GPU
    class_weights = class_weights.to(losses)
    weights = class_weights[targets] if targets.ndim == 1 else targets.to(losses) @ class_weights
    return Loss((weights * losses).sum(), weights.sum())
