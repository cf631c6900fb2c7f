"""`mobilevit explain MODEL IMAGE`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Device, Model, parse
from mobilevit.errors import UsageError
from mobilevit.explanation.explaining import explain
from mobilevit.files import image_format, unused
from mobilevit.images.sources import STANDARD_INPUT


@dataclass(frozen=True)
class ExplainOptions(CommandOptions):
    """Draw where a model looks: Grad-CAM of a class, and the attention of one pixel in each MobileViT block."""

    model: Model  # model file, or a catalog name
    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]  # image file or URL; -: standard input
    pixel: tuple[float, float] | None = None  # for attention, x and y in 0-1; None: the Grad-CAM maximum
    class_name: str | None = None  # name or id of the class to explain; None: the predicted class
    object: int = 1  # detection: rank of the object to explain, by score (of that class, if given)
    image_size: int | None = None  # model input side in pixels; None: the model's own
    device: Device = "auto"  # device to run on; auto: GPU if there is one
    output: Path | None = None  # image file to write; None: NAME-explained.png in the current folder

    @property
    def target(self) -> Path:
        stem = "image" if self.image == STANDARD_INPUT else Path(self.image).stem
        return self.output or unused(Path(f"{stem}-explained.png"))


def run(arguments: Sequence[str]) -> int:
    options = parse(ExplainOptions, "explain", arguments)
    target = options.target
    image_format(target)  # before the work
    if target.exists() and Path(options.image).exists() and target.samefile(options.image):
        raise UsageError(f"--output {target} is the input image: choose another file")
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
