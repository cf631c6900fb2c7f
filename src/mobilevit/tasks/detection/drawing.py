"""A picture with the boxes that were found in it, and those that are there."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from mobilevit.spec import ClassLabel
from mobilevit.tasks.detection.result import Detections
from mobilevit.tasks.detection.target import Boxes

COLOURS = ("#3d74b8", "#d9822b", "#2a8a57", "#c8453b", "#7a5aa8")


def draw(picture: Image.Image, result: Detections, truth: Boxes | None, classes: Sequence[ClassLabel]) -> Image.Image:
    """A new RGB picture: `picture` with the objects of the result on it."""
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    x, y = picture.width / result.size[0], picture.height / result.size[1]
    for found in result.objects:
        left, top, right, bottom = found.box
        pen.rectangle((left * x, top * y, right * x, bottom * y), outline=COLOURS[hash(found.id) % len(COLOURS)])
    return drawn


def draw_target(picture: Image.Image, target: Boxes, classes: Sequence[ClassLabel]) -> Image.Image:
    """A new RGB picture: `picture` with thin boxes."""
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    x, y = picture.width / target.size[0], picture.height / target.size[1]
    for (left, top, right, bottom), label in zip(target.boxes.tolist(), target.labels.tolist(), strict=True):
        pen.rectangle((left * x, top * y, right * x, bottom * y), outline=COLOURS[label % len(COLOURS)])
    return drawn
