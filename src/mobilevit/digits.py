"""Handwritten digits as an image folder: real images that come with a dependency, to try everything on.

1,797 digits of 43 people, 8 x 8 pixels of 17 shades (UCI, "Optical recognition of handwritten digits", CC BY 4.0).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.errors import MissingExtraError
from mobilevit.files import make_folder

SIDE_PX = 64
VAL_SHARE = 0.2
SHADES = 16  # the value of full ink


def write_digits(folder: str | Path, *, seed: int = 0) -> Path:
    """Write train/<digit>/*.png and val/<digit>/*.png, dark on light, a fifth of each digit held out; `folder`.

    The same files for the same seed. MissingExtraError without scikit-learn, OutputError where `folder` is not
    writable.
    """
    folder, (drawings, digits) = Path(folder), load()
    held = held_out(digits, seed)
    for index, (drawing, digit) in enumerate(zip(drawings, digits, strict=True)):
        target = make_folder(folder / ("val" if held[index] else "train") / str(digit))
        _image(drawing).save(target / f"{index:04}.png")
    return folder


def load() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(1797, 8, 8) ink, 0-16, and (1797,) digits."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            'the handwritten digits come with scikit-learn: pip install "mobilevit[demo]"'
        ) from None
    data = load_digits()
    return data.images, data.target


def held_out(digits: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """(1797,): which of them are for validation, a fifth of each digit."""
    held = np.zeros(len(digits), dtype=bool)
    rng = np.random.default_rng(seed)
    for digit in range(10):
        chosen = rng.permutation(np.flatnonzero(digits == digit))
        held[chosen[: round(VAL_SHARE * len(chosen))]] = True
    return held


def _image(ink: NDArray[np.float64]) -> Image.Image:
    paper = Image.fromarray(np.rint(255 * (1 - ink / SHADES)).astype(np.uint8))
    return paper.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
