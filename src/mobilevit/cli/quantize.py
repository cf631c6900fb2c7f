"""`mobilevit quantize MODEL --format onnx --calibrate DATA --evaluate DATA`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Model, parse
from mobilevit.formats.manifest import manifest_path
from mobilevit.quantization.quantize import LossError, QuantizeConfig, Quantized, quantize
from mobilevit.quantization.variants import Variant


@dataclass(frozen=True)
class QuantizeOptions(CommandOptions):
    """Write an 8-bit model: measure score, size and speed of several variants, and keep the best."""

    model: Model  # model file, or a catalog name
    calibrate: Path  # dataset folder; its training images calibrate the variants and choose among them
    evaluate: Path  # dataset folder with held-out images to measure the result on; may be the same
    format: str = "onnx"  # format to write: onnx, openvino, executorch, litert, coreml
    output: Path | None = None  # folder for the model; None: that of the model file
    image_size: int | None = None  # model input side in pixels; None: the model's own
    config: QuantizeConfig = field(default_factory=QuantizeConfig)
    json: bool = False  # print all results as JSON on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(QuantizeOptions, "quantize", arguments)
    try:
        found = _quantized(options)
    except LossError as error:
        console.results().print(_table(error.variants))
        raise
    if options.json:
        console.print_json(json.loads(found.manifest.to_json()))
    else:
        console.results().print(_table(found.variants))
        console.results().print(f"\n{_sentence(found)}")
    console.wrote([found.path, manifest_path(found.path)])
    return 0


def _quantized(options: QuantizeOptions) -> Quantized:
    with console.bar() as bar:
        shown = bar.add_task("quantizing", total=None)
        return quantize(
            options.model,
            options.format,
            calibrate=options.calibrate,
            evaluate=options.evaluate,
            output=options.output,
            image_size=options.image_size,
            config=options.config,
            progress=lambda what, done, total: bar.update(shown, description=what, completed=done, total=total),
        )


def _table(variants: Sequence[Variant]) -> Table:
    return console.table([_row(variant, variants[0]) for variant in variants])


def _row(variant: Variant, base: Variant) -> dict[str, object]:
    row: dict[str, object] = {
        "choice": variant.choice,
        "score": f"{variant.score:.2%}",
        "points lost": f"{variant.loss:.2f}",
        "MB": f"{variant.size_bytes / 2**20:.2f}",
        "size": f"{variant.size_bytes / base.size_bytes:.0%}",
    }
    if variant.latency_ms and base.latency_ms:
        row |= {"ms": f"{variant.latency_ms:.2f}", "times as fast": f"{base.latency_ms / variant.latency_ms:.2f}"}
    return row


def _sentence(found: Quantized) -> str:
    judged = found.judgment
    return (
        f"Kept '{found.kept.choice}'. On {judged.images:,} held-out images: {judged.metric} {judged.int8:.2%}, the "
        f"model {judged.model:.2%}; difference {judged.difference:+.2f} points, 95 % interval {judged.low:+.2f} to "
        f"{judged.high:+.2f}."
    )
