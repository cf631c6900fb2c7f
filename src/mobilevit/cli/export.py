"""`mobilevit export MODEL --format onnx,openvino --verify PICTURES`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mobilevit.cli import console
from mobilevit.cli.options import SIDE, Model, parse
from mobilevit.exporting.export import Artefact, export
from mobilevit.formats.manifest import manifest_path
from mobilevit.formats.table import Precision


@dataclass(frozen=True)
class ExportOptions:
    """Write a network for other runtimes, and prove on pictures that it gives the same answers there."""

    model: Model  # a model file, or a name of the catalogue
    format: str = "onnx"  # onnx, openvino, executorch, coreml, litert; several with commas between
    verify: tuple[str, ...] = ()  # pictures to compare on: files, folders, patterns; without, nothing is compared
    output: Path | None = None  # folder for the files; None: that of the model file
    name: str | None = None  # of the files; None: the model's
    precision: Precision | None = None  # None: fp32, for Core ML fp16
    size_px: Annotated[int | None, SIDE] = None  # side of the network's input; None: the model's own
    json: bool = False  # the manifests as a JSON list on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(ExportOptions, "export", arguments)
    names = [name.strip() for name in options.format.split(",") if name.strip()]
    artefacts = export(
        options.model,
        names,
        verify=options.verify,
        output=options.output,
        name=options.name,
        precision=options.precision,
        size_px=options.size_px,
    )
    if options.json:
        print(json.dumps([json.loads(artefact.manifest.to_json()) for artefact in artefacts], ensure_ascii=False))
    else:
        console.results().print(console.table([_row(artefact) for artefact in artefacts]))
    if not options.verify:
        console.say("not compared with the network: give pictures to --verify")
    elif generated := artefacts[0].parity and artefacts[0].parity.generated:
        console.say(f"{generated} made-up pictures were added: too few of yours are in colour to show swapped channels")
    console.wrote(path for artefact in artefacts for path in (artefact.path, manifest_path(artefact.path)))
    return 0


def _row(artefact: Artefact) -> dict[str, object]:
    parity, size = artefact.parity, _bytes(artefact.path) / 2**20
    row: dict[str, object] = {
        "format": artefact.manifest.format,
        "precision": artefact.manifest.precision,
        "MB": f"{size:.1f}",
        "seconds": f"{artefact.seconds:.0f}",
    }
    if parity is None:
        return row
    largest = max((apart.largest for apart in parity.outputs.values()), default=None)
    return row | {
        "largest difference": "-" if largest is None else f"{largest:.1e}",
        f"same {parity.agreement_of}": f"{parity.agreement:.1%}",
        "plain resize": f"{parity.agreement_plain_resize:.1%}",
        "pictures": str(parity.pictures),
        "ran in": parity.runtime,
    }


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
