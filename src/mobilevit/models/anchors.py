"""The anchors of SSDLite: boxes of fixed sizes around every position of six maps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mobilevit.models.anchor_sizes import AnchorSizes


def anchors_of(sizes: AnchorSizes, maps: Sequence[Tensor]) -> Tensor:
    """(A, 4): center x, center y, width, height of every anchor, of the image, clamped to 0-1 element by element.

    `sizes` are those of each level and `maps` the levels themselves, (B, C, H, W), of which only the extent counts.
    Levels in order, in each the positions row by row, at each the sizes in order. At least float32: with ten bits of
    mantissa the anchors of neighbors would meet.
    """
    return torch.cat([_level(size, level) for size, level in zip(sizes, maps, strict=True)]).clamp(0, 1)


def _level(sizes: Sequence[tuple[float, float]], level: Tensor) -> Tensor:
    """(H * W * len(sizes), 4), not clamped."""
    height, width = level.shape[2:]
    dtype = torch.promote_types(level.dtype, torch.float32)
    places = [(torch.arange(n, device=level.device, dtype=dtype) + 0.5) / n for n in (height, width)]
    y, x = torch.meshgrid(*places, indexing="ij")
    centers = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(sizes), -1)
    extents = torch.tensor(sizes, device=level.device, dtype=dtype).expand_as(centers)
    return torch.cat([centers, extents], dim=-1).flatten(0, 1)
