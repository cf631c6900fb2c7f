"""`mobilevit convert-data IN OUT --to ...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import parse
from mobilevit.datasets.conversion import Converted, DataFormat, convert_data
from mobilevit.datasets.finding import counted
from mobilevit.datasets.options import ReadOptions


@dataclass(frozen=True)
class ConvertDataOptions:
    """Rewrite a dataset of boxes or masks in another format, images and all splits included, in a new folder."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]  # folder of the dataset
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]  # folder to write; it must not exist
    to: DataFormat  # format of OUT
    data_format: Annotated[str | None, tyro.conf.arg(aliases=["--from"])] = None  # of IN; None: recognized
    task: str | None = None  # what IN is read as, detection or segmentation; None: recognized, COCO's files as boxes
    instances: str | None = None  # class of the objects that the values of IN's masks are: boxes of them, or one class
    val_fraction: float = 0.2  # share of the images that becomes val, where IN has no splits
    split_seed: int = 0  # decides which images those are
    link: bool = False  # give the images a second name in place of a copy: no room is taken, a change changes both


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
