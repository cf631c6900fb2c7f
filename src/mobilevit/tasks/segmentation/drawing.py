"""The classes of a picture laid over it."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mobilevit.spec import ClassLabel
from mobilevit.tasks.segmentation import maps
from mobilevit.tasks.segmentation.palette import PALETTE
from mobilevit.tasks.segmentation.result import Segmentation
from mobilevit.tasks.segmentation.target import Classes, Mask


def draw(picture: Image.Image, result: Segmentation, truth: Mask | None, classes: Sequence[ClassLabel]) -> Image.Image:
    """The prediction over the picture; with a truth that beside it."""
    assert classes or truth is None
    shown = [overlay(picture, maps.resized(result.coarse, picture.size))]
    if truth is not None:
        shown.append(overlay(picture, maps.resized(truth.read(), picture.size)))
    sheet = Image.new("RGB", (picture.width * len(shown), picture.height))
    for place, part in enumerate(shown):
        sheet.paste(part, (place * picture.width, 0))
    return sheet


def draw_target(picture: Image.Image, target: Mask) -> Image.Image:
    return overlay(picture, maps.resized(target.read(), picture.size))


def overlay(picture: Image.Image, classes: Classes) -> Image.Image:
    """The picture tinted by the classes (H, W) of its pixels; the first class is not tinted."""
    colours = np.array(PALETTE, np.float32)[classes]
    pixels = np.asarray(picture, np.float32)
    strength = np.where((classes > 0) & (classes < 255), 0.5, 0.0)[..., None]
    return Image.fromarray((pixels * (1 - strength) + colours * strength).astype(np.uint8))
