"""The same network, faster: BatchNorm folded into the convolutions, and the memory layout that costs no reordering.

Measured by benchmarks/eager.py. What did not pay there, and is therefore not here: oneDNN's packed weights and its
convolution with SiLU inside (4 to 7 %, by operators that torch keeps private).
"""

import copy
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilevit.models.layers import ConvNormAct

Network = TypeVar("Network", bound=nn.Module)


def fuse(model: Network) -> Network:
    """An equal network for inference: a copy in evaluation mode; the original stays as it is."""
    fused = fold_norms(model)
    for module in [*fused.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                setattr(module, name, Pointwise(child))
    for module in fused.modules():
        if isinstance(module, nn.Linear | Pointwise):
            module.weight.data = _input_major(module.weight)
    return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def fold_norms(model: Network) -> Network:
    """An equal network whose convolutions do the work of the BatchNorms behind them: a copy in evaluation mode."""
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for module in folded.modules():
        if isinstance(module, ConvNormAct) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    return folded


class Pointwise(nn.Module):
    """A 1x1 convolution as one product over the pixels of a channels-last map. (B, C, H, W) -> (B, C', H, W).

    At batch 1 torch runs a 1x1 convolution as a product as well, but copies the bias into a whole map before it.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().flatten(1), requires_grad=False)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.permute(0, 2, 3, 1)  # a view of a channels-last map
        mixed = F.linear(pixels.flatten(0, 2), self.weight, self.bias)
        return mixed.reshape(*pixels.shape[:3], -1).permute(0, 3, 1, 2)


def _input_major(weight: Tensor) -> Tensor:
    """The same (C', C) matrix, its columns contiguous: the order in which the product reads it (2 % faster)."""
    return weight.t().contiguous().t()
