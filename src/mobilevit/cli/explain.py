"""`mobilevit explain MODEL IMAGE`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import SIDE, Device, Model, parse
from mobilevit.errors import UsageError
from mobilevit.explanation.explaining import explain
from mobilevit.files import image_format, unused
from mobilevit.images.sources import STANDARD_INPUT


@dataclass(frozen=True)
class ExplainOptions:
    """Save an image of where a model looks: Grad-CAM of a class, and the attention of one pixel in each block."""

    model: Model  # a model file, or a name of the catalog
    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]  # a file
    pixel: tuple[float, float] | None = None  # x from the left and y from the top, 0-1; None: the warmest of the class
    class_name: str | None = None  # class to explain, by name or id; None: the predicted one
    object: int = 1  # detection: which object (of that class), the highest-scoring is 1
    image_size: Annotated[int | None, SIDE] = None  # side of the model's input; None: the model's own
    device: Device = "auto"  # where to run
    output: Path | None = None  # image to write; None: NAME-explained.png, here, numbered where there is one

    @property
    def target(self) -> Path:
        stem = "image" if self.image == STANDARD_INPUT else Path(self.image).stem
        return self.output or unused(Path(f"{stem}-explained.png"))


def run(arguments: Sequence[str]) -> int:
    options = parse(ExplainOptions, "explain", arguments)
    target = options.target
    image_format(target)  # before the work
    if target.exists() and Path(options.image).exists() and target.samefile(options.image):
        raise UsageError(f"{target} is the image itself: give another name to write to")
    explanation = explain(
        options.model,
        options.image,
        pixel=options.pixel,
        class_name=options.class_name,
        number=options.object,
        image_size=options.image_size,
        device=options.device,
    )
    explanation.save(target)
    out = console.results()
    out.print(console.table([explanation.result.row()]))
    out.print(f"\n{explanation.heading}\n\n{explanation.text}")
    console.wrote([target])
    return 0
