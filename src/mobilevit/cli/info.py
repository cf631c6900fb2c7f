"""`mobilevit info MODEL`, `mobilevit info --environment`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, parse
from mobilevit.datasets.finding import listed
from mobilevit.environment import environment
from mobilevit.errors import UsageError
from mobilevit.spec import ModelSpec, Preprocessing

if TYPE_CHECKING:
    from mobilevit.inspection import Summary


@dataclass(frozen=True)
class InfoOptions(CommandOptions):
    """Show a model's stages, output shapes, parameters and MACs. Without MODEL: list all models."""

    # model name, catalog name of weights, or model file
    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")] = ""
    image_size: int | None = None  # image side in pixels; None: that of the model
    environment: bool = False  # show versions, extras, processor and GPUs, for a bug report; takes no model
    json: bool = False  # print plain values as JSON


def run(arguments: Sequence[str]) -> int:
    options = parse(InfoOptions, "info", arguments)
    return _show_environment(options) if options.environment else _show_models(options)


def _show_environment(options: InfoOptions) -> int:
    if options.model:
        raise UsageError(f"--environment is about this machine, not about a model: leave out '{options.model}'")
    found = environment()
    if options.json:
        console.print_json(found.to_dict())
    else:
        console.results().print(console.facts(found.facts()))
    return 0


def _show_models(options: InfoOptions) -> int:
    # Here and not above: the environment is shown where torch cannot be imported, too.
    from mobilevit.inspection import info
    from mobilevit.models.table import list_models
    from mobilevit.runtimes import thresholds_beside

    names = [options.model] if options.model else list_models()
    summaries = [info(name, options.image_size) for name in names]
    spec = summaries[0].spec if options.model else None
    if options.json:
        described = [summary.to_dict() for summary in summaries]
        console.print_json(described[0] if options.model else described)
        return 0
    out = console.results()
    if spec is not None:
        out.print(console.facts(_facts(spec)))
        for line in thresholds_beside(Path(options.model), spec):
            out.print(line)
        out.print()
    if options.model:
        out.print(console.table(summaries[0].rows(), title=f"{names[0]} at {summaries[0].image_size} px"))
        out.print()
    out.print(console.table(_compared(summaries)))
    out.print("\nMACs are multiply-adds of convolutions, linear layers and attention products.")
    return 0


def _facts(spec: ModelSpec) -> dict[str, str]:
    """Facts of a model file."""
    before, origin, threshold = spec.preprocessing, spec.provenance, spec.score_threshold
    facts = {
        "architecture": spec.architecture,
        "task": spec.task,
        "classes": f"{len(spec.classes):,}: {listed(label.name for label in spec.classes)}",
        "images": f"{_fitted(before)}, {before.interpolation}, {before.channel_order.upper()}, 0-1",
        "anchors": "its own" if spec.anchors else "",
        "score threshold": f"{threshold.value:g}, {threshold.reason}" if threshold else "",
        "source": origin.source,
        "license": origin.license,
        "score": origin.score,
        "note": origin.note,
    }
    return {name: fact for name, fact in facts.items() if fact}


def _fitted(before: Preprocessing) -> str:
    if before.fit == "stretch":
        return f"stretched to {before.image_size} x {before.image_size} px"
    return f"short side to {before.resize_px} px, center of {before.image_size} px"


def _compared(summaries: Sequence["Summary"]) -> list[dict[str, object]]:
    """Beside the standard ViT at its size, as the paper compares."""
    from mobilevit.inspection import deit_tiny

    return [
        {
            "model": summary.name,
            "size": f"{summary.image_size} px",
            "parameters": summary.parameters,
            "MACs M": f"{summary.macs.total / 1e6:.2f}",
        }
        for summary in (*summaries, deit_tiny())
    ]
