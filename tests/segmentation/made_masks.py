"""Images with masks that tests make."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pair(image: Path, mask: Path, seed: int = 0, size: tuple[int, int] = (48, 36)) -> None:
    """An image with a square in it, and its mask: 0 around, 1 in the square, 255 along its edge."""
    rng = np.random.default_rng(seed)
    width, height = size
    pixels = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
    classes = np.zeros((height, width), np.uint8)
    left, top = int(rng.integers(2, width // 2)), int(rng.integers(2, height // 2))
    side = min(width, height) // 3
    classes[top : top + side, left : left + side] = 255
    classes[top + 1 : top + side - 1, left + 1 : left + side - 1] = 1
    pixels[classes == 1] = (220, 60, 60)
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(image)
    Image.fromarray(classes).save(mask)
