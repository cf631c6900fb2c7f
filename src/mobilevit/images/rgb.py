"""From any Pillow mode to RGB, band by band, to keep intermediate memory small."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.errors import ImageError

Box = tuple[int, int, int, int]


def rgb(image: Image.Image, name: str) -> Image.Image:
    """`image` itself where it is RGB, else a new image; transparent parts on white. `name` is for ImageError."""
    if image.mode in WHITE:
        _check_range(image, name)
        return _converted(image, _eight_bit)
    if image.has_transparency_data:
        return _converted(image, _on_white)
    return image if image.mode == "RGB" else _converted(image, lambda band: band.convert("RGB"))


# The value of white in images of more than 8 bits. It is never taken from the image, so that two images from one
# camera keep their difference in brightness.
WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1}
BAND_PIXELS = 2**18


def _converted(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    result = Image.new("RGB", image.size)
    for box in _bands(image.size):
        result.paste(convert(image.crop(box)), box)
    return result


def _bands(size: tuple[int, int]) -> Iterator[Box]:
    """Boxes that cover an image of `size`, none with many pixels."""
    width, height = size
    columns = min(width, BAND_PIXELS)
    rows = max(1, BAND_PIXELS // columns)
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


def _on_white(band: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", band.size, "white"), band.convert("RGBA")).convert("RGB")


def _check_range(image: Image.Image, name: str) -> None:
    bands = (_values(image.crop(box)) for box in _bands(image.size))
    ranges = np.array([(band.min(), band.max()) for band in bands])
    low, high, white = ranges[:, 0].min(), ranges[:, 1].max(), WHITE[image.mode]
    if not (low >= 0 and high <= white):  # so written that NaN fails
        raise ImageError(
            f"{name} has values from {low:g} to {high:g}, but grayscale of mode "
            f"{image.mode} ranges from 0 to {white}: convert it to 8 or 16 bits"
        )


def _eight_bit(band: Image.Image) -> Image.Image:
    """Grayscale of 16 or 32 bits, or of floats, scaled to 8 bits."""
    scaled = np.rint(_values(band) * (255 / WHITE[band.mode])).astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")


def _values(band: Image.Image) -> NDArray[np.float32]:
    return np.asarray(band, dtype=np.float32)
