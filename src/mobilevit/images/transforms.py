"""Transforms from a decoded image to the model's input: crop, resize, mirror.

A Geometry describes a transform without touching pixels, so that boxes and masks can be transformed alike. Sizes are
(width, height), as in Pillow; boxes are (left, top, right, bottom) in pixels of the image.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.errors import UsageError, check_ranges
from mobilevit.spec import Interpolation, Preprocessing

Size = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class AugmentConfig:
    """Data augmentation. RandAugment, mixup, CutMix and erasing: for classification, with the extra `augment`."""

    crop_area_min: float = 0.35  # minimum area of a random crop, 0-1 of the image; paper: 0.08, boxes 0.09
    crop_ratio_max: float = 4 / 3  # maximum aspect ratio of a crop, 1 or more; paper: 4/3, boxes 2
    flip: bool = True  # mirror images at random; switch off for digits, text, or classes of left and right
    photometric: bool = False  # vary contrast, brightness, saturation and hue, as the paper does for detection
    randaugment: bool = False  # apply two random operations of color or shape to every batch (RandAugment)
    mixup: float = 0.0  # alpha of mixup, which blends pairs of images; usual: 0.2, 0: off
    cutmix: float = 0.0  # alpha of CutMix, which pastes a part of another image; usual: 1.0, 0: off
    erasing: float = 0.0  # probability of random erasing, which blackens a rectangle; usual: 0.25, 0: off

    def __post_init__(self) -> None:
        """UsageError for values out of range."""
        check_ranges(
            self,
            crop_area_min=(1e-4, 1.0),
            crop_ratio_max=(1.0, 100.0),
            mixup=(0.0, 100.0),
            cutmix=(0.0, 100.0),
            erasing=(0.0, 1.0),
        )


@dataclass(frozen=True)
class Geometry:
    """The transform from an image to the model's input: crop `box`, resize to `output`, mirror if `flip`."""

    source: Size  # of the image in whose pixels `box` is
    box: Box
    output: Size
    flip: bool = False
    interpolation: Interpolation = "bilinear"
    reduced: bool = False  # may start from a reduced image: faster, and a little different in every pixel

    def image(self, image: Image.Image) -> Image.Image:
        """The part of `image` that the model sees. `image` is the source, or the source decoded at a reduced size."""
        scale_x, scale_y = image.width / self.source[0], image.height / self.source[1]
        left, top, right, bottom = self.box
        box = (left * scale_x, top * scale_y, min(right * scale_x, image.width), min(bottom * scale_y, image.height))
        gap = REDUCING_GAP if self.reduced else None
        resized = image.resize(self.output, FILTERS[self.interpolation], box=box, reducing_gap=gap)
        return resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flip else resized

    def boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 4) xyxy in pixels of the source to normalized xyxy of the model's input, not clipped to 0-1."""
        left, top, right, bottom = self.box
        corner, extent = [left, top], [right - left, bottom - top]
        shares: NDArray[np.float64] = (boxes - np.array(corner * 2)) / np.array(extent * 2)
        if self.flip:
            shares = np.stack([1 - shares[:, 2], shares[:, 1], 1 - shares[:, 0], shares[:, 3]], axis=1)
        return shares.astype(np.float32)

    def mask(self, mask: Image.Image) -> Image.Image:
        """The part of a mask of the source's size that belongs to the image: nearest, so that classes stay whole."""
        assert mask.size == self.source, f"the mask is {mask.size}, its image {self.source}"
        resized = mask.resize(self.output, Image.Resampling.NEAREST, box=self.box)
        return resized.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.flip else resized

    @property
    def draft_px(self) -> int | None:
        """The short side down to which the source may be decoded without enlarging the crop; None: decode in full."""
        if not self.reduced:
            return None
        left, top, right, bottom = self.box
        scale = max(self.output[0] / (right - left), self.output[1] / (bottom - top))
        return math.ceil(min(self.source) * min(scale, 1.0))


REDUCING_GAP = 2.0  # shrink by whole factors first, down to twice the wanted size
FILTERS: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def train_geometry(rng: np.random.Generator, size: Size, image_size: int, config: AugmentConfig) -> Geometry:
    """A random crop of an image of `size`, resized to a square of `image_size`, flipped or not (paper, section 4.1)."""
    flip = bool(rng.random() < 0.5) and config.flip
    return Geometry(size, random_crop(rng, size, config), (image_size, image_size), flip, reduced=True)


def smallest_crop(size: Size, config: AugmentConfig) -> int:
    """The least side that a crop by `random_crop` can have."""
    return max(1, min(*size, int(math.sqrt(config.crop_area_min * size[0] * size[1] / config.crop_ratio_max))))


def random_crop(rng: np.random.Generator, size: Size, config: AugmentConfig) -> Box:
    """A crop by area and log-uniform ratio; after ten that do not fit, the largest centerd one of a fitting ratio."""
    width, height = size
    log_ratio = math.log(config.crop_ratio_max)
    for _ in range(CROP_TRIES):
        area = width * height * rng.uniform(config.crop_area_min, 1.0)
        ratio = math.exp(rng.uniform(-log_ratio, log_ratio))
        crop_width, crop_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < crop_width <= width and 0 < crop_height <= height:
            left, top = rng.integers(width - crop_width + 1), rng.integers(height - crop_height + 1)
            return float(left), float(top), float(left + crop_width), float(top + crop_height)
    return _center_crop(size, config.crop_ratio_max)


CROP_TRIES = 10


def _center_crop(size: Size, ratio_max: float) -> Box:
    width, height = size
    crop_width = min(width, max(1, round(height * ratio_max)))
    crop_height = min(height, max(1, round(width * ratio_max)))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    return float(left), float(top), float(left + crop_width), float(top + crop_height)


def kept_geometry(size: Size, smallest_crop: int, image_size: int) -> Geometry:
    """What to keep of an image for crops of no side below `smallest_crop`, each resized to at most `image_size`.

    All of it, reduced by as much as leaves the smallest crop no smaller than what it is resized to: so no crop is ever
    enlarged that was not to be enlarged anyway.
    """
    scale = min(1.0, image_size / smallest_crop)
    output = (math.ceil(size[0] * scale), math.ceil(size[1] * scale))
    return Geometry(size, (0.0, 0.0, float(size[0]), float(size[1])), output, reduced=True)


def eval_geometry(size: Size, preprocessing: Preprocessing) -> Geometry:
    """The part of an image that evaluation and prediction use.

    Stretched: all of it. Otherwise the short side is resized to `resize_px` and the center of `image_size` cropped,
    both in one step over the crop alone. The crop is mapped back to the source, so that the pixels are those of the two
    steps, within the rounding between Pillow's two axes (at most 2 of 255; more for bicubic beyond black or white), and
    an image of 1 x 10000 pixels never becomes one of 288 x 2880000. As in the official code, the resized long side is
    rounded down, and the offset of the crop rounded to the nearest pixel. UsageError if the crop is larger than the
    resized short side.
    """
    crop_px, resize_px = preprocessing.image_size, preprocessing.resize_px
    output = (crop_px, crop_px)
    if preprocessing.fit == "stretch":
        whole = (0.0, 0.0, float(size[0]), float(size[1]))
        return Geometry(size, whole, output, interpolation=preprocessing.interpolation)
    if crop_px > resize_px:
        raise UsageError(
            f"the resize to {resize_px} px is smaller than the crop of {crop_px} px: resize to at least the crop size"
        )
    short = min(size)
    left, right = _center(size[0], size[0] * resize_px // short, crop_px)
    top, bottom = _center(size[1], size[1] * resize_px // short, crop_px)
    return Geometry(size, (left, top, right, bottom), output, interpolation=preprocessing.interpolation)


def _center(source_px: int, resized_px: int, crop_px: int) -> tuple[float, float]:
    """Start and end, in the source, of the center crop of one resized side."""
    start, pixel = round((resized_px - crop_px) / 2), source_px / resized_px
    return start * pixel, min((start + crop_px) * pixel, float(source_px))


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """(3, H, W) of an RGB image."""
    return np.array(np.asarray(image).transpose(2, 0, 1), order="C")
