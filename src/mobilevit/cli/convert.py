"""`mobilevit convert IN OUT --layout ...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, parse
from mobilevit.spec import ChannelOrder
from mobilevit.weights.conversion import convert
from mobilevit.weights.layouts import Layout


@dataclass(frozen=True)
class ConvertOptions(CommandOptions):
    """Convert weights for another package or another channel order. The layout of IN is recognized."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]  # weight file, or a catalog name
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]  # file to write
    layout: Layout = "ours"  # naming of the tensors; ours: a model file of this package
    channel_order: ChannelOrder | None = None  # of the input (the stem is flipped); None: as the layout expects
    half: bool = False  # store weights as float16, which halves the file


def run(arguments: Sequence[str]) -> int:
    options = parse(ConvertOptions, "convert", arguments)
    convert(
        options.source, options.target, layout=options.layout, channel_order=options.channel_order, half=options.half
    )
    console.wrote([options.target])
    return 0
