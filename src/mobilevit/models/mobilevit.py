"""MobileViT (Mehta & Rastegari, ICLR 2022): the backbone and the classifier.

Input everywhere: (B, 3, H, W), 0-1, no mean or deviation subtracted, in the channel order that the weights expect
(the official ones: BGR). Any H and W from 32 up.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilevit.models.layers import ConvNormAct, InvertedResidual, SiLU, initialize
from mobilevit.models.patches import fold, unfold
from mobilevit.models.transformer import EncoderLayer
from mobilevit.models.variants import PatchSizes, Variant


class MobileViT(nn.Module):
    """The classifier. (B, 3, H, W) -> (B, num_classes) logits, or (B, final_channels) where `num_classes` is 0."""

    def __init__(
        self,
        variant: Variant,
        num_classes: int = 1000,
        *,
        patch_sizes: PatchSizes = (2, 2, 2),
        fuse_input: bool = True,
        classifier_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(variant, patch_sizes=patch_sizes, fuse_input=fuse_input)
        self.final = ConvNormAct(variant.channels[-1], variant.final_channels, 1)
        self.dropout = nn.Dropout(classifier_dropout if num_classes else 0.0)
        self.classifier = nn.Linear(variant.final_channels, num_classes) if num_classes else nn.Identity()
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.final(self.backbone(x)).mean(dim=(2, 3))
        return self.classifier(self.dropout(pooled))  # type: ignore[no-any-return]


class Backbone(nn.Module):
    """Stem and five stages. (B, 3, H, W) -> (B, C5, H/s, W/s), s the output stride (paper, Table 4).

    `output_stride` 16 keeps the resolution of stage 5, and 8 that of stages 4 and 5. As in the official code only the
    depth-wise convolution of a MobileNetv2 block is dilated, and by the dilation of the stage before it: at stride 16
    nothing is dilated, at stride 8 only stage 5, by 2.

    Of images whose sides are multiples of `step_px` (64; at strides 16 and 8 of 32 and 16) no block resizes a map.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        output_stride: int = 32,
        patch_sizes: PatchSizes = (2, 2, 2),
        fuse_input: bool = True,
    ) -> None:
        super().__init__()
        strides, dilations = STRIDES_AND_DILATIONS[output_stride]
        stem, first, second, *_ = self.channels = variant.channels
        expansion = variant.expansion
        self.stem = ConvNormAct(3, stem, 3, stride=2)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(InvertedResidual(stem, first, expansion)),
                nn.Sequential(
                    InvertedResidual(first, second, expansion, stride=2),
                    InvertedResidual(second, second, expansion),
                    InvertedResidual(second, second, expansion),
                ),
            ]
        )
        self.step_px, stride = 1, 4
        for i in range(3):
            stride *= strides[i]
            self.step_px = math.lcm(self.step_px, stride * patch_sizes[i])
            channels_in, channels_out = variant.channels[i + 2], variant.channels[i + 3]
            down = InvertedResidual(channels_in, channels_out, expansion, stride=strides[i], dilation=dilations[i])
            block = MobileViTBlock(
                channels_out,
                variant.dims[i],
                variant.depths[i],
                variant.heads,
                patch_size=patch_sizes[i],
                fuse_input=fuse_input,
                dropout=variant.dropout,
            )
            self.stages.append(nn.Sequential(down, block))
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        return self.pyramid(x)[-1]

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """The outputs of the five stages, at strides 2, 4, 8, 16, 32 (or as `output_stride` limits them)."""
        maps: list[Tensor] = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


# output stride -> (strides, dilations) of the MobileNetv2 blocks that open stages 3, 4 and 5
STRIDES_AND_DILATIONS = {
    32: ((2, 2, 2), (1, 1, 1)),
    16: ((2, 2, 1), (1, 1, 1)),
    8: ((2, 1, 1), (1, 1, 2)),
}


class MobileViTBlock(nn.Module):
    """Local representation, transformers as convolutions, fusion (paper, section 3.1). (B, C, H, W) -> the same shape.

    A map that does not divide into patches is resized bilinearly before the transformers and back after them; that is
    part of the function, in training too. `fuse_input=False` leaves out the fusion with the input (the ablation of
    the paper's appendix C).
    """

    def __init__(
        self, channels: int, dim: int, depth: int, heads: int, *, patch_size: int, fuse_input: bool, dropout: float
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.local = ConvNormAct(channels, channels, 3)
        self.project_in = nn.Conv2d(channels, dim, 1, bias=False)
        layers = [EncoderLayer(dim, heads, 2 * dim, SiLU(), dropout=dropout) for _ in range(depth)]
        self.transformer = nn.Sequential(*layers, nn.LayerNorm(dim))
        self.project_out = ConvNormAct(dim, channels, 1)
        self.fusion = ConvNormAct(2 * channels, channels, 3) if fuse_input else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.project_out(self._attend(self.project_in(self.local(x))))
        return y if self.fusion is None else self.fusion(torch.cat([x, y], dim=1))  # type: ignore[no-any-return]

    def _attend(self, x: Tensor) -> Tensor:
        """(B, d, H, W) -> (B, d, H, W), every pixel seeing those at its place in every patch."""
        size, p = x.shape[2:], self.patch_size
        height, width = (-(-side // p) * p for side in size)
        resized = (height, width) != tuple(size)
        if resized:
            x = F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
        x = fold(self.transformer(unfold(x, p, p)), p, p, height, width)
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False) if resized else x
