"""`mobilevit export MODEL --format onnx,openvino --verify IMAGES`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Model, numbers, parse
from mobilevit.exporting.export import ExportedModel, export
from mobilevit.exporting.parity import Parity
from mobilevit.formats.manifest import manifest_path
from mobilevit.formats.table import Precision


@dataclass(frozen=True)
class ExportOptions(CommandOptions):
    """Export a model for other runtimes, and verify on images that its outputs agree with the original."""

    model: Model  # model file, or a catalog name
    format: str = "onnx"  # formats, comma-separated: onnx, openvino, executorch, coreml, litert
    verify: tuple[str, ...] = ()  # images to compare outputs on: files, folders, patterns; none: not verified
    output: Path | None = None  # folder for the exported models; None: that of the model file
    name: str | None = None  # file name without suffix; None: that of the model file
    precision: Precision | None = None  # precision of the weights; None: fp32, for Core ML fp16
    image_size: int | None = None  # model input side in pixels; None: the model's own
    image_sizes: str = ""  # onnx: further input sides that the file accepts, comma-separated; each is verified
    json: bool = False  # print the manifests as a JSON list on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(ExportOptions, "export", arguments)
    names = [name.strip() for name in options.format.split(",") if name.strip()]
    exported_models = export(
        options.model,
        names,
        verify=options.verify,
        output=options.output,
        name=options.name,
        precision=options.precision,
        image_size=options.image_size,
        image_sizes=numbers("image-sizes", options.image_sizes),
    )
    if options.json:
        console.print_json([json.loads(exported.manifest.to_json()) for exported in exported_models], indent=None)
    else:
        console.results().print(console.table([row for exported in exported_models for row in _rows(exported)]))
    for exported in exported_models:
        if exported.manifest.delegate_calls:
            calls = ", ".join(f"{name} {count} x" for name, count in exported.manifest.delegate_calls.items())
            console.say(f"{exported.path.name} calls {calls}")
    if options.verify and not options.json:
        console.say(PLAIN_RESIZE)
    if not options.verify:
        console.say("not verified: give images to compare on as --verify")
    elif generated := exported_models[0].parity and exported_models[0].parity.generated:
        console.say(f"{generated} generated images were added: too few images are in color to reveal swapped channels")
    console.wrote(path for exported in exported_models for path in (exported.path, manifest_path(exported.path)))
    return 0


PLAIN_RESIZE = (
    "plain resize: agreement if the app resizes images without antialiasing, as phones often do. Where it is lower, "
    "the cause is the resizing and not the exported model: resize with antialiasing if possible"
)


def _rows(exported: ExportedModel) -> Iterator[dict[str, object]]:
    """One for each size that was compared."""
    row: dict[str, object] = {
        "format": exported.manifest.format,
        "precision": exported.manifest.precision,
        "MB": f"{_bytes(exported.path) / 2**20:.1f}",
        "seconds": f"{exported.seconds:.0f}",
    }
    if not exported.parities:
        yield row
    for image_size, parity in exported.parities.items():
        yield row | {"px": str(image_size)} | _found(parity)


def _found(parity: Parity) -> dict[str, object]:
    largest = max((apart.largest for apart in parity.outputs.values()), default=None)
    return {
        "largest difference": "-" if largest is None else f"{largest:.1e}",
        f"same {parity.agreement_of}": f"{parity.agreement:.1%}",
        "plain resize": f"{parity.agreement_plain_resize:.1%}",
        "images": str(parity.images),
        "ran in": parity.runtime,
    }


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
