"""DeepLabv3 on MobileViT (paper, section 4.3): a class for every pixel.

Input: (B, 3, H, W), 0-1, as for the classifier; 512 x 512 in the paper, any H and W from 32 up. Everything behind the
backbone activates with ReLU, as in the official code.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilevit.models.layers import ConvNormAct, initialize
from mobilevit.models.mobilevit import Backbone
from mobilevit.models.variants import PatchSizes, Variant


@dataclass(frozen=True)
class DeepLabSize:
    """What stands behind the backbone, and how fine a map the backbone gives it."""

    output_stride: int
    channels: int
    rates: tuple[int, int, int]  # dilations of the 3x3 branches
    dropout: type[nn.Dropout | nn.Dropout2d]  # behind the pyramid: of values, or of whole channels
    auxiliary_channels: int = 0  # of the head on stage 4 that helps the training; 0: there is none


PAPER = DeepLabSize(output_stride=16, channels=256, rates=(6, 12, 18), dropout=nn.Dropout)
FINE = DeepLabSize(output_stride=8, channels=512, rates=(12, 24, 36), dropout=nn.Dropout2d, auxiliary_channels=128)


class SegmentationOutput(NamedTuple):
    """What the model says about each pixel."""

    logits: Tensor  # (B, K, H, W), at the input's size
    auxiliary: Tensor | None  # (B, K, H / 16, W / 16) or finer, in training, where the head has such a part


class DeepLabv3(nn.Module):
    """The segmenter of `num_classes` classes, the background among them. (B, 3, H, W) -> SegmentationOutput."""

    def __init__(
        self,
        variant: Variant,
        num_classes: int = 21,
        *,
        head: DeepLabSize = PAPER,
        patch_sizes: PatchSizes = (2, 2, 2),
        fuse_input: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(
            variant, output_stride=head.output_stride, patch_sizes=patch_sizes, fuse_input=fuse_input
        )
        stage4, stage5 = variant.channels[-2:]
        self.pyramid = AtrousPyramid(stage5, head.channels, head.rates)
        self.dropout = nn.Sequential(head.dropout(0.1), nn.Dropout2d(0.1))
        self.classifier = nn.Conv2d(head.channels, num_classes, 1)
        self.auxiliary = Auxiliary(stage4, head.auxiliary_channels, num_classes) if head.auxiliary_channels else None
        self.apply(initialize)

    def forward(self, x: Tensor) -> SegmentationOutput:
        *_, stage4, stage5 = self.backbone.pyramid(x)
        logits = self.classifier(self.dropout(self.pyramid(stage5)))
        logits = F.interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=False)
        helped = self.training and self.auxiliary is not None
        return SegmentationOutput(logits, self.auxiliary(stage4) if helped else None)  # type: ignore[misc]


with_paper_head = partial(DeepLabv3, head=PAPER)
with_fine_head = partial(DeepLabv3, head=FINE)


class AtrousPyramid(nn.Module):
    """The map seen at five scales: 1x1, three dilated 3x3, and the mean of it all. (B, C, H, W) -> (B, C', H, W)."""

    def __init__(self, channels_in: int, channels: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                ConvNormAct(channels_in, channels, 1, activation="relu"),
                *(ConvNormAct(channels_in, channels, 3, dilation=rate, activation="relu") for rate in rates),
            ]
        )
        self.pooled = ConvNormAct(channels_in, channels, 1, activation="relu")
        self.project = ConvNormAct((len(rates) + 2) * channels, channels, 1, activation="relu")

    def forward(self, x: Tensor) -> Tensor:
        seen = [branch(x) for branch in self.branches]
        mean = self.pooled(x.mean(dim=(2, 3), keepdim=True))
        mean = F.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=False)  # LiteRT knows no `expand`
        return self.project(torch.cat([*seen, mean], dim=1))  # type: ignore[no-any-return]


class Auxiliary(nn.Module):
    """A plain head whose loss reaches the backbone past the pyramid. (B, C, h, w) of stage 4 -> (B, K, h, w)."""

    def __init__(self, channels_in: int, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = ConvNormAct(channels_in, channels, 3, activation="relu")
        self.dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.conv(x)))  # type: ignore[no-any-return]
