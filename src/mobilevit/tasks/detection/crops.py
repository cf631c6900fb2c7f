"""What training sees of an image with boxes: SSD's crops by overlap, and the boxes that are left in them."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.box_target import Boxes
from mobilevit.images.transforms import AugmentConfig, Box, Geometry, Size

Crops = NDArray[np.float64]  # (N, 4) left, top, right, bottom in pixels of the image

# Least IoU that a crop has with some box; 0 keeps the whole image. The official list has 1.0 too, which no crop
# reaches: it draws again, and so has no effect.
OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
TRIES = 40  # crops for each of them


def train_geometry(
    rng: np.random.Generator, size: Size, target: Boxes, image_size: int, config: AugmentConfig
) -> Geometry:
    """A random crop of an image of `size`, stretched to a square of `image_size`, flipped or not (SSD, section 2.2)."""
    flip = bool(rng.random() < 0.5) and config.flip
    box = random_crop(rng, size, target.counted().boxes, config)
    return Geometry(size, box, (image_size, image_size), flip, reduced=True)


def smallest_crop(size: Size, config: AugmentConfig) -> int:
    """The least side that a crop by `random_crop` can have."""
    return max(1, int(math.sqrt(config.crop_area_min) * min(size)))


def random_crop(rng: np.random.Generator, size: Size, boxes: NDArray[np.float32], config: AugmentConfig) -> Box:
    """The whole image, or a crop that overlaps some of the `boxes` (N, 4) by a least IoU drawn at random and holds
    the center of one; without boxes any crop.

    An overlap for which no crop is found makes room for another, which ends at the latest with the whole image.
    """
    for overlap in rng.permutation(OVERLAPS):
        if overlap == 0:
            break
        crops = _crops(rng, size, config)
        fits = _overlapping(crops, boxes, overlap) if len(boxes) else np.ones(len(crops), dtype=bool)
        if fits.any():
            left, top, right, bottom = crops[fits.argmax()].tolist()
            return left, top, right, bottom
    return 0.0, 0.0, float(size[0]), float(size[1])


def _crops(rng: np.random.Generator, size: Size, config: AugmentConfig) -> Crops:
    """At most TRIES, in whole pixels: those not too elongated of so many whose sides and places are drawn."""
    sides = rng.uniform(math.sqrt(config.crop_area_min), 1.0, (TRIES, 2)) * size
    sides = sides.round().clip(1, size)
    starts = (rng.random((TRIES, 2)) * (np.array(size) - sides + 1)).astype(np.int64)
    ratio = sides[:, 0] / sides[:, 1]
    fits = np.maximum(ratio, 1 / ratio) <= config.crop_ratio_max
    return np.concatenate([starts, starts + sides], axis=1)[fits]


def _overlapping(crops: Crops, boxes: NDArray[np.float32], overlap: float) -> NDArray[np.bool_]:
    """(N,): which crops have the IoU with some of the boxes (M, 4), and the center of one in them."""
    low = np.maximum(crops[:, None, :2], boxes[:, :2])
    high = np.minimum(crops[:, None, 2:], boxes[:, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(corners[:, 2:] - corners[:, :2]).prod(axis=1) for corners in (crops, boxes)]
    iou = shared / (areas[0][:, None] + areas[1] - shared)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    holds = np.all((centers > crops[:, None, :2]) & (centers < crops[:, None, 2:]), axis=2)
    return np.asarray((iou.max(axis=1) >= overlap) & np.any(holds, axis=1))


class Seen(NamedTuple):
    """The objects in a training image: (N, 4) corners in shares of it, 0-1, and (N,) class indices."""

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


def seen(target: Boxes, geometry: Geometry) -> Seen:
    """The boxes whose center is in the crop, clipped to it; those to be ignored are left out."""
    counted = target.counted()
    boxes = geometry.boxes(counted.boxes)
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    boxes = boxes.clip(0, 1)
    stays = ((centers > 0) & (centers < 1)).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Seen(boxes[stays], counted.labels[stays])
