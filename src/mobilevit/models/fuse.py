"""The same model, faster: norms folded into the layers beside them, and the memory layout that costs no reordering.

Measured by benchmarks/eager.py. What did not pay there, and is therefore not here: oneDNN's packed weights and its
convolution with SiLU inside (4 to 7 %, by operators that torch keeps private).
"""

import copy
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilevit.models.layers import ConvNormAct
from mobilevit.models.mobilevit import MobileViTBlock
from mobilevit.models.transformer import Attention, EncoderLayer

Model = TypeVar("Model", bound=nn.Module)


def fuse(model: Model) -> Model:
    """An equal model for inference: a copy in evaluation mode; the original stays as it is."""
    fused = fold_norms(model)
    for module in [*fused.modules()]:
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
                setattr(module, name, Pointwise(child))
    for module in fused.modules():
        if isinstance(module, nn.Linear | Pointwise):
            module.weight.data = _input_major(module.weight)
    return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def fold_norms(model: Model) -> Model:
    """An equal model that calculates with its weights once what others do with every image.

    Convolutions do the work of the BatchNorms behind them, linear layers that of the LayerNorms' scale and shift and of
    attention's scale. Tokens have a mean of zero wherever a MobileViT block normalizes them, so that a runtime may
    leave out that part of a LayerNorm. A copy in evaluation mode.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    for module in folded.modules():
        if isinstance(module, ConvNormAct) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    for module in folded.modules():
        if isinstance(module, EncoderLayer):
            _fold_affine(module.norm1, module.attention.qkv)
            _fold_affine(module.norm2, module.feed_forward.expand)
            _fold_scale(module.attention)
        elif isinstance(module, MobileViTBlock):
            _fold_affine(cast(nn.LayerNorm, module.transformer[-1]), module.project_out.conv)
            _center(module)
    return folded


Linear = nn.Linear | nn.Conv2d  # a convolution of 1x1


def _fold_affine(norm: nn.LayerNorm, layer: Linear) -> None:
    """Scale and shift of a LayerNorm into the layer that follows."""
    if norm.weight is not None:  # None: it was folded before
        shift = layer.weight.flatten(1) @ norm.bias
        layer.bias = nn.Parameter(shift if layer.bias is None else layer.bias + shift, requires_grad=False)
        layer.weight.data *= norm.weight.reshape(-1, *layer.weight.shape[2:])
        norm.weight = norm.bias = None  # type: ignore[assignment]


def _fold_scale(attention: Attention) -> None:
    """The scale of the scores into the rows that make the queries."""
    rows = attention.qkv.out_features // 3
    attention.qkv.weight.data[:rows] *= attention.scale
    attention.qkv.bias.data[:rows] *= attention.scale
    attention.scale = 1.0


def _center(block: MobileViTBlock) -> None:
    """Take the mean out of everything that is added up to tokens.

    Only LayerNorms read those sums, and they do not see what all channels of a token have in common.
    """
    encoders = [layer for layer in block.transformer if isinstance(layer, EncoderLayer)]
    layers: list[Linear] = [block.project_in]
    for encoder in encoders:
        layers += [encoder.attention.proj, encoder.feed_forward.reduce]
    for layer in layers:
        layer.weight.data -= layer.weight.mean(dim=0)
        if layer.bias is not None:
            layer.bias.data -= layer.bias.mean()


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
