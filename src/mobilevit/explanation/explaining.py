"""Why a model says what it says about one image, as an image."""

from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from mobilevit import class_tables
from mobilevit.errors import UsageError, unknown
from mobilevit.explanation.attributions import Attributions, Pixel, gather
from mobilevit.explanation.drawing import draw
from mobilevit.files import image_format, write_atomically
from mobilevit.formats.torch import without_lost_threads
from mobilevit.images.sources import AnySource, Source, expand
from mobilevit.images.transforms import eval_geometry
from mobilevit.runners import device_for
from mobilevit.spec import ModelSpec, at_size
from mobilevit.weights.creating import load, spec_of


@dataclass(frozen=True)
class Explanation:
    """An image that shows where a model looks, and the numbers behind it."""

    attributions: Attributions

    @cached_property
    def image(self) -> Image.Image:
        """The image; drawn when it is first asked for."""
        return draw(self.attributions, self.text)

    @property
    def heading(self) -> str:
        """What was predicted, and which part of it is explained."""
        return self.attributions.target.heading

    @property
    def text(self) -> str:
        """One line that says how to read the image."""
        return HOW_TO_READ.format(name=self.attributions.target.name)

    @property
    def result(self) -> Any:
        """What the model says of the image; a classifier all its classes, the likeliest first."""
        return self.attributions.target.result

    def save(self, path: str | Path) -> None:
        """Write the image, whole or not at all; OutputError where `path` is not an image's name or not writable."""
        path = Path(path)
        encoded = BytesIO()
        self.image.save(encoded, image_format(path))
        write_atomically(path, encoded.getvalue())


def explain(
    model: str | Path | nn.Module,
    image: AnySource,
    *,
    pixel: Pixel | None = None,
    class_name: str | None = None,
    number: int = 1,
    image_size: int | None = None,
    device: str = "auto",
) -> Explanation:
    """Grad-CAM of a class, an object or a region, and what one pixel attends to in each MobileViT block.

    `model` is a file, a name of the catalog, or the model itself, which stays as it is. Explained is what is
    predicted, or `class_name` (a name or an id): a class of a classifier, the largest region of a segmenter, of a
    detector the `number`-th object, highest score first. The pixel is the one that speaks most for it, or `pixel`:
    x from the left and y from the top of what the model sees, each 0-1. `image_size` is the side of that, the model's
    own by default.

    UsageError for a class, an object or a pixel that is not there, a size out of range, a model without classes,
    more than one image; ImageError; WeightsError.
    """
    _check_pixel(pixel)
    without_lost_threads()
    source = _only(image)
    loaded = model if isinstance(model, nn.Module) else load(model)
    spec = spec_of(loaded) if image_size is None else at_size(spec_of(loaded), image_size)
    index = _class_index(class_name, spec)
    whole = source.image()
    crop = eval_geometry(whole.size, spec.preprocessing).image(whole)
    attributions = gather(loaded, spec, crop, index, number, pixel, device_for(device))
    result = attributions.target.result.of(source.name, whole.size)
    return Explanation(replace(attributions, target=replace(attributions.target, result=result)))


HOW_TO_READ = (
    "How to read: Grad-CAM is bright where the image speaks for {name}. In each MobileViT block the pixel marked red "
    "attends only to the pixels at its own place in every patch, colored by how much; those left dark reach it "
    "only indirectly, through the convolutions."
)


def _check_pixel(pixel: Pixel | None) -> None:
    if pixel is not None and not all(0 <= share <= 1 for share in pixel):
        raise UsageError(
            f"the pixel {pixel[0]:g},{pixel[1]:g} lies outside the image: give x from the left and y from the top, "
            "each between 0 and 1"
        )


def _only(image: AnySource) -> Source:
    """One source; a folder, a pattern or standard input may stand for it, as in predictions."""
    sources = list(islice(expand(image), 2))
    if len(sources) > 1:
        raise UsageError(f"give one image: {sources[0].name} and {sources[1].name} are explained one at a time")
    return sources[0]


def _class_index(class_name: str | None, spec: ModelSpec) -> int | None:
    if not spec.classes:
        raise UsageError(f"this {spec.architecture} has no classes, it gives features: there is no class to explain")
    if class_name is None:
        return None
    (index,) = class_tables.match([class_name], spec.classes)
    if index is None:
        raise unknown("class", class_name, [label.name for label in spec.classes])
    return index
