"""Which part of an image and its mask training sees."""

import math

import numpy as np

from mobilevit.images.transforms import AugmentConfig, Box, Geometry, Size


def train_geometry(rng: np.random.Generator, size: Size, image_size: int, config: AugmentConfig) -> Geometry:
    """A random resize and crop in one step, mirrored or not; the crop lies inside the image: nothing is padded."""
    flip = bool(rng.random() < 0.5) and config.flip
    return Geometry(size, random_crop(rng, size, config), (image_size, image_size), flip, reduced=True)


def smallest_crop(size: Size, config: AugmentConfig) -> int:
    """The least side that a crop by `random_crop` can have."""
    return max(1, int(math.sqrt(config.crop_area_min) * min(size) / config.crop_ratio_max))


def random_crop(rng: np.random.Generator, size: Size, config: AugmentConfig) -> Box:
    """The largest crop of a log-uniform ratio, reduced, at a random place.

    The official code resizes the short side to U(1/2, 2) times the crop, and to the crop where that is more: of the
    short side a crop then keeps from a half to all, and all in a third of the cases. So it is here for a
    `crop_area_min` of 1/4 and a `crop_ratio_max` of 1, the paper's; other values move the half to its root. Ratios
    beyond 1 let a crop be the whole of an image that is not square, as evaluation sees it.
    """
    log_ratio = math.log(config.crop_ratio_max)
    ratio = math.exp(rng.uniform(-log_ratio, log_ratio))
    kept = min(1.0, 1 / rng.uniform(0.5, 1 / math.sqrt(config.crop_area_min)))
    width = max(1, round(kept * min(size[0], size[1] * ratio)))
    height = max(1, round(kept * min(size[1], size[0] / ratio)))
    left, top = rng.integers(size[0] - width + 1), rng.integers(size[1] - height + 1)
    return float(left), float(top), float(left + width), float(top + height)
