"""Photometric distortion of SSD (Liu et al., ECCV 2016), as the paper trains its detectors with: colors only."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CONTRAST, SATURATION = (0.5, 1.5), (0.5, 1.5)  # factors
BRIGHTNESS = 0.2  # largest shift, of the whole range
HUE = 0.05  # largest turn, of the whole circle
CHANCE = 0.5  # of each change, by itself


def distorted(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGB image with other contrast, brightness, saturation, hue and order of channels, each by half a chance.

    The contrast changes before the colors or after them, by a fair coin (official code, v0.1).
    """
    contrast_first = rng.random() < CHANCE
    pixels = np.asarray(image, np.float32)
    if contrast_first:
        pixels = _contrast(pixels, rng)
    if rng.random() < CHANCE:
        pixels = pixels + np.float32(rng.uniform(-BRIGHTNESS, BRIGHTNESS) * 255)
    pixels = _colors(pixels, rng)
    if not contrast_first:
        pixels = _contrast(pixels, rng)
    if rng.random() < CHANCE:
        pixels = pixels[..., rng.permutation(3)]
    return Image.fromarray(_bytes(pixels))


def _contrast(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    return pixels * np.float32(rng.uniform(*CONTRAST)) if rng.random() < CHANCE else pixels


def _colors(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Saturation and hue, in HSV of eight bits."""
    saturated, turned = rng.random(2) < CHANCE
    factor, turn = rng.uniform(*SATURATION), rng.uniform(-HUE, HUE)
    if not (saturated or turned):
        return pixels
    hsv = np.array(Image.fromarray(_bytes(pixels)).convert("HSV"))
    if saturated:
        hsv[..., 1] = (hsv[..., 1] * np.float32(factor)).clip(0, 255)
    if turned:
        hsv[..., 0] += np.uint8(round(turn * 256) % 256)  # the circle has 256 steps and wraps around
    size = hsv.shape[1], hsv.shape[0]
    return np.asarray(Image.frombytes("HSV", size, hsv.tobytes()).convert("RGB"), np.float32)


def _bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return pixels.clip(0, 255).round().astype(np.uint8)
