"""The three sizes of MobileViT. Numbers alone."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One size of the model (paper, Table 4)."""

    channels: tuple[int, int, int, int, int, int]  # after the stem and after each of the five stages
    dims: tuple[int, int, int]  # of the transformers in stages 3, 4 and 5
    expansion: int  # of every MobileNetv2 block
    final_channels: int  # of the 1x1 convolution before pooling
    dropout: float  # in the transformers
    depths: tuple[int, int, int] = (2, 4, 3)  # transformer layers in stages 3, 4 and 5
    heads: int = 4


XXS = Variant((16, 16, 24, 48, 64, 80), (64, 80, 96), expansion=2, final_channels=320, dropout=0.05)
XS = Variant((16, 32, 48, 64, 80, 96), (96, 120, 144), expansion=4, final_channels=384, dropout=0.1)
S = Variant((16, 32, 64, 96, 128, 160), (144, 192, 240), expansion=4, final_channels=640, dropout=0.1)

PatchSizes = tuple[int, int, int]  # ablation: side of a patch in stages 3, 4 and 5
