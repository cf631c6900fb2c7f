"""Handwritten digits as a picture folder: real pictures that come with a dependency, to try everything on.

1,797 digits of 43 people, 8 x 8 pixels of 17 shades (UCI, "Optical recognition of handwritten digits", CC BY 4.0).
"""

from pathlib import Path

import numpy as np
from PIL import Image

from mobilevit.errors import MissingExtraError
from mobilevit.files import make_folder

SIDE_PX = 64
VAL_SHARE = 0.2
SHADES = 16  # the value of full ink


def write_digits(folder: Path, *, seed: int = 0) -> Path:
    """Write train/<digit>/*.png and val/<digit>/*.png, dark on light, a fifth of each digit held out; `folder`.

    The same files for the same seed. MissingExtraError without scikit-learn, OutputError where `folder` is not
    writable.
    """
    drawings, digits = _load()
    rng = np.random.default_rng(seed)
    for digit in range(10):
        chosen = rng.permutation(np.flatnonzero(digits == digit))
        held_out = round(VAL_SHARE * len(chosen))
        for split, indices in (("val", chosen[:held_out]), ("train", chosen[held_out:])):
            target = make_folder(folder / split / str(digit))
            for index in indices:
                _picture(drawings[index]).save(target / f"{index:04}.png")
    return folder


def _load() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 8, 8) ink, 0-16, and (1797,) digits."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            'the handwritten digits come with scikit-learn: pip install "mobilevit[demo]"'
        ) from None
    data = load_digits()
    return data.images, data.target


def _picture(ink: np.ndarray) -> Image.Image:
    paper = Image.fromarray(np.rint(255 * (1 - ink / SHADES)).astype(np.uint8))
    return paper.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
