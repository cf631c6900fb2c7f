"""`mobilevit export MODEL --format onnx,openvino --verify IMAGES`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mobilevit.cli import console
from mobilevit.cli.options import SIDE, Model, numbers, parse
from mobilevit.exporting.export import ExportedModel, export
from mobilevit.exporting.parity import Parity
from mobilevit.formats.manifest import manifest_path
from mobilevit.formats.table import Precision


@dataclass(frozen=True)
class ExportOptions:
    """Write a model for other runtimes, and prove on images that it gives the same answers there."""

    model: Model  # a model file, or a name of the catalog
    format: str = "onnx"  # onnx, openvino, executorch, coreml, litert; several with commas between
    verify: tuple[str, ...] = ()  # images to compare on: files, folders, patterns; without, nothing is compared
    output: Path | None = None  # folder for the files; None: that of the model file
    name: str | None = None  # of the files; None: the model's
    precision: Precision | None = None  # None: fp32, for Core ML fp16
    image_size: Annotated[int | None, SIDE] = None  # side of the model's input; None: the model's own
    image_sizes: str = ""  # onnx: other sides that the same file is to take, with commas between; each is compared
    json: bool = False  # the manifests as a JSON list on standard output


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
        image_sizes=numbers("sizes-px", options.image_sizes),
    )
    if options.json:
        console.print_json([json.loads(exported.manifest.to_json()) for exported in exported_models], indent=None)
    else:
        console.results().print(console.table([row for exported in exported_models for row in _rows(exported)]))
    for exported in exported_models:
        if exported.manifest.calls:
            calls = ", ".join(f"{name} {count} x" for name, count in exported.manifest.calls.items())
            console.say(f"{exported.path.name} calls {calls}")
    if options.verify and not options.json:
        console.say(PLAIN_RESIZE)
    if not options.verify:
        console.say("not compared with the model: give images to --verify")
    elif generated := exported_models[0].parity and exported_models[0].parity.generated:
        console.say(f"{generated} made-up images were added: too few of yours are in color to show swapped channels")
    console.wrote(path for exported in exported_models for path in (exported.path, manifest_path(exported.path)))
    return 0


PLAIN_RESIZE = (
    "plain resize: the same share where the file gets images resized without antialiasing, as phones often do it. "
    "Where it is lower, such a resize is to blame and not the file: resize with antialiasing where you can"
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
