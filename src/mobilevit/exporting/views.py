"""The images on which an exported file is compared with its model, as the model sees them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.images.sources import AnySource, expand
from mobilevit.images.transforms import Geometry, eval_geometry, pixels_of
from mobilevit.spec import Preprocessing

ENOUGH = 16  # images in color; gray ones would hide that channels are swapped
MOST = 64  # images that are compared, evenly chosen from all


Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Views:
    """The same images twice, (N, 3, S, S) RGB."""

    images: Pixels  # resized as evaluation does
    plain: Pixels  # resized bilinearly without antialiasing, as phones do
    generated: int  # how many of them, the last, were made up because there were too few in color


def views_of(sources: AnySource | Iterable[AnySource], preprocessings: Sequence[Preprocessing]) -> list[Views]:
    """By preprocessing, the views of at most MOST of the images, with made-up ones in color up to ENOUGH.

    Each is decoded once, and one at a time is in memory. ImageError where one cannot be read.
    """
    pairs: list[list[Pair]] = [[] for _ in preprocessings]
    in_color = 0
    for source in _evenly([*expand(sources)], MOST):
        with source.lent() as image:
            in_color += _in_color(image)
            for seen, preprocessing in zip(pairs, preprocessings, strict=True):
                seen.append(_pair(image, preprocessing))
    missing = max(0, ENOUGH - in_color)
    for seen, preprocessing in zip(pairs, preprocessings, strict=True):
        seen += [_pair(_made_up(seed, preprocessing.image_size), preprocessing) for seed in range(missing)]
    return [Views(np.stack([a for a, _ in seen]), np.stack([b for _, b in seen]), missing) for seen in pairs]


Pair = tuple[Pixels, Pixels]  # the two views of one image


def _pair(image: Image.Image, preprocessing: Preprocessing) -> Pair:
    geometry = eval_geometry(image.size, preprocessing)
    return pixels_of(geometry.image(image)), pixels_of(_plain(image, geometry))


def _evenly(items: Sequence, most: int) -> list:  # type: ignore[type-arg]
    step = max(1, -(-len(items) // most))
    return [*items[::step]]


def _in_color(image: Image.Image) -> bool:
    """Whether a hundredth of the pixels, or more, is clearly no gray."""
    small = np.asarray(image.resize((64, 64)), np.int16)
    return bool((np.ptp(small, axis=2) > 24).mean() > 0.01)


def _made_up(seed: int, image_size: int) -> Image.Image:
    """Clouds of many colors, coarse and fine."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(3, 24))
    clouds = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    return clouds.resize((2 * image_size, 2 * image_size), Image.Resampling.BICUBIC)


def _plain(image: Image.Image, geometry: Geometry) -> Image.Image:
    """The view by bilinear interpolation of the four nearest pixels, however much the image shrinks."""
    pixels = np.asarray(image, np.float32)
    left, top, right, bottom = geometry.box
    width, height = geometry.output
    low_y, high_y, share_y = _neighbors(top, bottom, height, image.height)
    low_x, high_x, share_x = _neighbors(left, right, width, image.width)
    rows = pixels[low_y] * (1 - share_y[:, None, None]) + pixels[high_y] * share_y[:, None, None]
    mixed = rows[:, low_x] * (1 - share_x[:, None]) + rows[:, high_x] * share_x[:, None]
    return Image.fromarray(mixed.round().astype(np.uint8))


def _neighbors(
    start: float, end: float, count: int, extent: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For `count` places between start and end: the pixels before and behind each, and the share of the latter."""
    places = (start + (np.arange(count) + 0.5) * (end - start) / count - 0.5).clip(0, extent - 1)
    low = np.floor(places).astype(np.int64)
    return low, (low + 1).clip(max=extent - 1), (places - low).astype(np.float32)
