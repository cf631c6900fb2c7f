"""A picture with its classes in a strip below."""

from PIL.Image import Image

from mobilevit.spec import ClassLabel
from mobilevit.tasks.classification.result import Classification


def draw(picture: Image, result: Classification, truth: ClassLabel | None) -> Image:
    return picture
