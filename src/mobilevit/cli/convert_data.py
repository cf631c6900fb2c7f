"""`mobilevit convert-data IN OUT --to ...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, parse
from mobilevit.datasets.conversion import Converted, DataFormat, convert_data
from mobilevit.datasets.finding import counted
from mobilevit.datasets.options import ReadOptions


@dataclass(frozen=True)
class ConvertDataOptions(CommandOptions):
    """Convert a dataset of boxes or masks to another format, in a new folder with its images and splits."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]  # dataset folder
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]  # folder to write, which must not exist
    to: DataFormat  # format of OUT
    data_format: Annotated[str | None, tyro.conf.arg(aliases=["--from"])] = None  # format of IN; None: recognized
    task: str | None = None  # detection or segmentation, if IN could be both; None: recognized, COCO files as detection
    instances: str | None = None  # class name of the objects in instance masks (each value of IN's masks is one object)
    val_fraction: float = 0.2  # fraction of the images that becomes val, if IN has no val split
    split_seed: int = 0  # seed of that split
    link: bool = False  # hard-link images instead of copying them: takes no space, but a change affects both datasets


def run(arguments: Sequence[str]) -> int:
    options = parse(ConvertDataOptions, "convert-data", arguments)
    with console.bar() as bar:
        shown = bar.add_task("copying", total=None)
        converted = convert_data(
            options.source,
            options.target,
            to=options.to,
            task=options.task,
            instances=options.instances,
            options=ReadOptions(options.val_fraction, options.split_seed, options.data_format),
            link=options.link,
            progress=lambda done, total: bar.update(shown, completed=done, total=total),
        )
    _report(converted)
    return 0


def _report(converted: Converted) -> None:
    for finding in converted.findings:
        if finding.severity != "error":  # such as "no training images", which keeps nobody from converting
            console.say(f"note: {finding.message}")
    splits = ", ".join(f"{count:,} {split}" for split, count in converted.images.items())
    console.wrote([converted.folder])
    what = counted(converted.masks, "mask") + " of" if converted.masks else counted(converted.boxes, "box") + " in"
    console.say(f"{what} images: {splits}")
