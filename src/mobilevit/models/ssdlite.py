"""SSDLite on MobileViT (paper, section 4.2): what is where, in boxes around fixed anchors.

Input: (B, 3, H, W), 0-1, as for the classifier; 320 x 320 in the paper, any H and W from 32 up. Everything behind the
backbone activates with ReLU, as in the official code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mobilevit.errors import UsageError
from mobilevit.models.anchor_sizes import PAPER_SIZES, AnchorSizes, are_valid
from mobilevit.models.anchors import anchors_of
from mobilevit.models.layers import ConvNormAct, ReLU
from mobilevit.models.mobilevit import Backbone
from mobilevit.models.variants import PatchSizes, Variant


class SSDOutput(NamedTuple):
    """What the model says about each of its A anchors (3,232 at 320 px)."""

    scores: Tensor  # (B, A, K + 1) logits, the background first
    locations: Tensor  # (B, A, 4): the box relative to the anchor, as `boxes.encode` writes it
    anchors: Tensor  # (A, 4): center x, center y, width, height of the image, 0-1; the same for every image


class SSDLite(nn.Module):
    """The detector of `num_classes` kinds of object. (B, 3, H, W) -> SSDOutput.

    Six levels: the maps of stages 4 and 5, three further ones of half the side each, and one of the whole image.
    `anchors` are the (width, height) of each level's anchors, of the image; empty for the paper's. How many a level
    has is part of the model and stays.
    """

    def __init__(
        self,
        variant: Variant,
        num_classes: int = 80,
        *,
        patch_sizes: PatchSizes = (2, 2, 2),
        fuse_input: bool = True,
        anchors: AnchorSizes = (),
    ) -> None:
        super().__init__()
        if anchors and not are_valid(anchors):
            counts = ", ".join(str(len(sizes)) for sizes in PAPER_SIZES)
            raise UsageError(f"anchors are {counts} pairs of width and height, parts of the image above 0")
        self.anchor_sizes = anchors or PAPER_SIZES
        self.backbone = Backbone(variant, patch_sizes=patch_sizes, fuse_input=fuse_input)
        stage4, stage5 = variant.channels[-2:]
        self.extras = nn.ModuleList([Halving(stage5, 256), Halving(256, 128), Halving(128, 128), Pooling(128, 64)])
        self.heads = nn.ModuleList(
            SSDHead(channels_in, channels, kernel, anchors=len(sizes), values=4 + 1 + num_classes)
            for (channels_in, channels, kernel), sizes in zip(
                ((stage4, 512, 3), (stage5, 256, 3), (256, 256, 3), (128, 128, 3), (128, 128, 3), (64, 64, 1)),
                PAPER_SIZES,
                strict=True,
            )
        )
        self.extras.apply(_initialize)
        self.heads.apply(_initialize)

    def forward(self, x: Tensor) -> SSDOutput:
        maps = self.backbone.pyramid(x)[-2:]
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        said = torch.cat([head(level) for head, level in zip(self.heads, maps, strict=True)], dim=1)
        return SSDOutput(said[..., 4:], said[..., :4], anchors_of(self.anchor_sizes, maps))


class Halving(nn.Module):
    """The next level: depth-wise with stride 2, then 1x1. (B, C, H, W) -> (B, C', ceil(H / 2), ceil(W / 2))."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(channels_in, channels_in, 3, stride=2, groups=channels_in, activation="none")
        self.pointwise = ConvNormAct(channels_in, channels_out, 1, activation="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))  # type: ignore[no-any-return]


class Pooling(nn.Module):
    """The last level: the mean of the map, then 1x1 without a norm. (B, C, H, W) -> (B, C', 1, 1)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.activation = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.conv(x.mean(dim=(2, 3), keepdim=True)))  # type: ignore[no-any-return]


class SSDHead(nn.Module):
    """Box and classes of every anchor of one level, in one convolution. (B, C, H, W) -> (B, H * W * anchors, values).

    It works on `channels`; a map of another number is projected to them first. With a `kernel` of 1 there is no
    depth-wise convolution.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int, *, anchors: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.project = ConvNormAct(channels_in, channels, 1, activation="relu") if channels_in != channels else None
        depthwise = ConvNormAct(channels, channels, kernel, groups=channels, activation="none")
        self.depthwise = depthwise if kernel > 1 else None
        self.predict = nn.Conv2d(channels, anchors * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        for part in (self.project, self.depthwise):
            x = x if part is None else part(x)
        said = self.predict(x).permute(0, 2, 3, 1)  # (B, H, W, anchors * values): anchors one after the other
        return said.reshape(x.shape[0], -1, self.values)  # type: ignore[no-any-return]


def _initialize(module: nn.Module) -> None:
    """As the official code starts what stands behind the backbone of a detector."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
