"""How large the anchors of SSDLite are: the paper's, and what a model may have in their place. Numbers alone."""

import math

AnchorSizes = tuple[tuple[tuple[float, float], ...], ...]  # of each level and anchor: width, height, of the image


def are_valid(sizes: AnchorSizes) -> bool:
    """Whether each level has as many sizes as the paper's, and each is a part of the image, or not much more."""
    counts = [len(level) for level in sizes] == [len(level) for level in PAPER_SIZES]
    return counts and all(_is_side(side) for level in sizes for size in level for side in size)


def _is_side(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SIDE


MAX_SIDE = 4.0  # of the image; the paper's reach 1.27 before they are clamped


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
