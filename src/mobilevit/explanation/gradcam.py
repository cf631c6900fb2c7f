"""Grad-CAM (Selvaraju et al., ICCV 2017), without its mean over places: where in the image a score comes from.

The mean blurs what belongs to one box or region. Without it (HiResCAM, Draelos and Carin, 2020) each place has its own
gradient; where a mean over the map follows, as in a classifier, all gradients are equal, and so are the two.

Knows a model and a scalar score of its raw output; knows no task, class name, file or drawing.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Score = Callable[[Any], Tensor]  # the model's raw output -> one number with a gradient, as a tensor


def grad_cam(model: nn.Module, image: Tensor, layer: nn.Module, score: Score) -> tuple[Tensor, Any]:
    """What each place of `layer`'s output adds to the score, and the model's raw output.

    `image` is (1, 3, H, W) as the model expects it, `layer` a module of the model with an output of
    (1, C, h, w); the map is (h, w), signed, in units of the score: gradient times value, summed over the channels.
    """
    activation: Tensor | None = None

    def cut(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        nonlocal activation
        activation = output.detach().requires_grad_()
        return activation

    handle = layer.register_forward_hook(cut)
    try:
        with torch.enable_grad():
            raw = model(image)
            total = score(raw)
    finally:
        handle.remove()
    assert activation is not None, "the layer took no part in the forward pass"
    (gradient,) = torch.autograd.grad(total, activation)
    return (gradient * activation).sum(dim=1)[0].detach(), raw


def heat(signed_map: Tensor) -> Tensor:
    """The map as people see it: what lowers the score is 0, what raises it most is 1. (h, w) -> (h, w)."""
    positive = signed_map.relu()
    return positive / positive.max().clamp_min(torch.finfo(positive.dtype).tiny)
