"""Images that tests make."""

import numpy as np
from PIL import Image


def smooth_image(seed: int, width: int = 96, height: int = 72) -> Image.Image:
    """A colorful image with the soft structure of a photograph, another for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
