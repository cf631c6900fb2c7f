"""`mobilevit info MODEL`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import SIDE, parse
from mobilevit.inspection import Summary, deit_tiny, info
from mobilevit.models.table import list_models


@dataclass(frozen=True)
class InfoOptions:
    """Show a network's stages, output shapes, parameters and multiply-adds. Without MODEL: every network by name."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = ""  # a name, or a model file
    size_px: Annotated[int, SIDE] = 256  # side of the square picture
    json: bool = False  # print plain values for machines instead


def run(arguments: Sequence[str]) -> int:
    options = parse(InfoOptions, "info", arguments)
    names = [options.model] if options.model else list_models()
    summaries = [info(name, options.size_px) for name in names]
    if options.json:
        described = [summary.to_dict() for summary in summaries]
        print(json.dumps(described[0] if options.model else described, indent=2))
        return 0
    if options.model:
        console.results().print(console.table(summaries[0].rows(), title=f"{names[0]} at {options.size_px} px"))
        console.results().print()
    console.results().print(console.table(_compared(summaries)))
    console.results().print("\nMACs are multiply-adds of convolutions, linear layers and attention products.")
    return 0


def _compared(summaries: Sequence[Summary]) -> list[dict[str, object]]:
    """Beside the standard ViT at its size, as the paper compares."""
    return [
        {
            "model": summary.name,
            "size": f"{summary.size_px} px",
            "parameters": summary.parameters,
            "MACs M": f"{summary.macs.total / 1e6:.2f}",
        }
        for summary in (*summaries, deit_tiny())
    ]
