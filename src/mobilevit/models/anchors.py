"""The anchors of SSDLite: boxes of fixed sizes around every position of six maps."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

AnchorSizes = tuple[tuple[tuple[float, float], ...], ...]


def anchors_of(sizes: AnchorSizes, maps: Sequence[Tensor]) -> Tensor:
    """(A, 4): center x, center y, width, height of every anchor, of the image, clamped to 0-1 element by element.

    `sizes` are those of each level and `maps` the levels themselves, (B, C, H, W), of which only the extent counts.
    Levels in order, in each the positions row by row, at each the sizes in order. At least float32: with ten bits of
    mantissa the anchors of neighbors would meet.
    """
    return torch.cat([_level(size, level) for size, level in zip(sizes, maps, strict=True)]).clamp(0, 1)


def are_valid(sizes: AnchorSizes) -> bool:
    """Whether each level has as many sizes as the paper's, and each is a part of the image, or not much more."""
    counts = [len(level) for level in sizes] == [len(level) for level in PAPER_SIZES]
    return counts and all(_is_side(side) for level in sizes for size in level for side in size)


def _is_side(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SIDE


MAX_SIDE = 4.0  # of the image; the paper's reach 1.27 before they are clamped


def _level(sizes: Sequence[tuple[float, float]], level: Tensor) -> Tensor:
    """(H * W * len(sizes), 4), not clamped."""
    height, width = level.shape[2:]
    dtype = torch.promote_types(level.dtype, torch.float32)
    places = [(torch.arange(n, device=level.device, dtype=dtype) + 0.5) / n for n in (height, width)]
    y, x = torch.meshgrid(*places, indexing="ij")
    centers = torch.stack([x, y], dim=-1).reshape(-1, 1, 2).expand(-1, len(sizes), -1)
    extents = torch.tensor(sizes, device=level.device, dtype=dtype).expand_as(centers)
    return torch.cat([centers, extents], dim=-1).flatten(0, 1)


def _paper_sizes() -> AnchorSizes:
    """Sizes grow linearly from 0.1 to 1.05 of the image; at each level also the mean of two neighbors.

    In order: both squares, then for each ratio r the wide and the tall box of the smaller square's area.
    """
    scales = [0.1 + 0.95 * level / len(RATIOS) for level in range(len(RATIOS) + 1)]
    levels = []
    for small, next_small, ratios in zip(scales, scales[1:], RATIOS, strict=False):
        large = math.sqrt(small * next_small)
        roots = [math.sqrt(ratio) for ratio in ratios]
        oblong = [size for root in roots for size in ((small * root, small / root), (small / root, small * root))]
        levels.append(((small, small), (large, large), *oblong))
    return tuple(levels)


RATIOS = ((2, 3), (2, 3), (2, 3), (2, 3), (2, 3), (2,))  # of width to height at each level, beside the squares
PAPER_SIZES = _paper_sizes()
