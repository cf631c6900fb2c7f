"""`mobilevit convert IN OUT --layout ...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import parse
from mobilevit.spec import ChannelOrder
from mobilevit.weights.conversion import convert
from mobilevit.weights.layouts import Layout


@dataclass(frozen=True)
class ConvertOptions:
    """Rewrite weights for another package, or for input in another channel order. The layout of IN is recognized."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]  # a weight file, or a catalog name
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]  # file to write
    layout: Layout = "ours"  # whose names the tensors get
    channel_order: ChannelOrder | None = None  # of the input, by flipping the stem; None: what the layout expects
    half: bool = False  # store float16: half the size


def run(arguments: Sequence[str]) -> int:
    options = parse(ConvertOptions, "convert", arguments)
    convert(
        options.source, options.target, layout=options.layout, channel_order=options.channel_order, half=options.half
    )
    console.wrote([options.target])
    return 0
