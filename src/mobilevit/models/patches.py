"""Unfold and fold: a feature map as sequences of pixels at the same place in every patch (paper, section 3.1).

Both are one transpose of rank five. The order of the sequences along the batch axis is free, so the
pixel-in-patch axes come first; in channels-last memory everything else is a view.
"""

from torch import Tensor


def unfold(x: Tensor, patch_height: int, patch_width: int) -> Tensor:
    """(B, C, H, W) -> (P*B, N, C), with P = patch_height * patch_width pixels in a patch and N patches.

    Sequence `(i * patch_width + j) * B + b` holds the pixels at row i, column j of every patch of image b, patches
    in row-major order. H and W must be multiples of the patch.
    """
    batch, channels, height, width = x.shape
    rows, columns = height // patch_height, width // patch_width
    pixels = x.permute(0, 2, 3, 1).reshape(batch * rows, patch_height, columns, patch_width, channels)
    return pixels.permute(1, 3, 0, 2, 4).reshape(patch_height * patch_width * batch, rows * columns, channels)


def fold(tokens: Tensor, patch_height: int, patch_width: int, height: int, width: int) -> Tensor:
    """The inverse of `unfold`: (P*B, N, C) -> (B, C, H, W), in channels-last memory."""
    rows, columns = height // patch_height, width // patch_width
    batch, channels = tokens.shape[0] // (patch_height * patch_width), tokens.shape[2]
    pixels = tokens.reshape(patch_height, patch_width, batch * rows, columns, channels).permute(2, 0, 3, 1, 4)
    return pixels.reshape(batch, height, width, channels).permute(0, 3, 1, 2)
