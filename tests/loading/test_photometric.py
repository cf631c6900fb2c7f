"""Photometric distortion: colors change, within bounds, and nothing but the generator decides."""

import numpy as np
from PIL import Image

from mobilevit.loading.photometric import distorted


def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def pixels(seed: int, source: Image.Image) -> np.ndarray:
    changed = distorted(source, np.random.default_rng(seed))
    assert (changed.size, changed.mode) == (source.size, "RGB")
    return np.asarray(changed, int)


def test_the_generator_decides() -> None:
    assert np.array_equal(pixels(3, image()), pixels(3, image()))
    assert len({pixels(seed, image()).tobytes() for seed in range(30)}) > 25


def test_sometimes_nothing_changes() -> None:
    """Each of five changes is left out half of the time."""
    source = np.asarray(image(), int)
    same = sum(np.array_equal(pixels(seed, image()), source) for seed in range(400))
    assert 3 <= same <= 40  # 400 / 32, less where a permutation of the channels is none


def test_gray_stays_gray_and_within_bounds() -> None:
    """Of gray there is no hue and no order of channels: what is left is contrast and brightness, in either order."""
    gray = Image.new("RGB", (4, 4), (110, 110, 110))
    values = [pixels(seed, gray) for seed in range(300)]
    assert all(np.ptp(value, axis=2).max() <= 1 for value in values)
    shades = np.array([value.mean() for value in values])
    assert 110 * 0.5 - 51 - 2 <= shades.min() < 50  # beyond what each of the two can do alone: 55 and 59
    assert (110 + 51) * 1.5 + 2 >= shades.max() > 170  # 165 and 161


def test_turning_the_hue_wraps_around() -> None:
    """Red lies at both ends of the circle: it becomes orange or pink, never green or blue."""
    red = Image.new("RGB", (2, 2), (220, 20, 20))
    for seed in range(200):
        assert sorted(pixels(seed, red)[0, 0])[2] > sorted(pixels(seed, red)[0, 0])[1] + 20
