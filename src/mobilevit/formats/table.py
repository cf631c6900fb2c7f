"""Every format by its name: one literal table. Another one is one module beside this, and one row here."""

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

from mobilevit.errors import MissingExtraError, UsageError, WeightsError, unknown
from mobilevit.formats import Runner
from mobilevit.formats.manifest import Manifest, read_manifest
from mobilevit.text import words_of

if TYPE_CHECKING:  # it imports torch, which nobody needs to run a file
    from mobilevit.formats.graph import Graph

Precision = Literal["fp32", "fp16"]


@dataclass(frozen=True)
class ExportFormat:
    """One row."""

    title: str  # for people
    module: str  # of this package
    suffix: str  # of the exported model, a file or a folder
    packages: tuple[str, ...]  # that have to be importable, all of the extra "export"
    precisions: tuple[Precision, ...] = ("fp32",)  # the first unless asked otherwise
    layout: str = "NCHW"  # of the input
    any_batch: bool = False  # whether it takes several images at a time
    any_size: bool = False  # whether one exported model may take images of several sizes
    system: str = ""  # sys.platform of the only one that has the runtime; elsewhere the file is checked, and not run
    counts_calls: bool = False  # whether its adapter is a Counting one
    dictionary: str = ""  # the output that it hands out as a dictionary, where the model has classes

    @property
    def runs_here(self) -> bool:
        """Whether this system has the runtime."""
        return self.system in ("", sys.platform)


FORMATS = {
    "onnx": ExportFormat("ONNX", "onnx", ".onnx", ("onnx", "onnxscript", "onnxruntime"), any_batch=True, any_size=True),
    "openvino": ExportFormat(
        "OpenVINO", "openvino", ".openvino", ("openvino", "onnx", "onnxscript"), ("fp32", "fp16"), any_batch=True
    ),
    "executorch": ExportFormat("ExecuTorch", "executorch", ".pte", ("executorch",), counts_calls=True),
    "coreml": ExportFormat(
        "Core ML",
        "coreml",
        ".mlpackage",
        ("coremltools",),
        ("fp16", "fp32"),
        layout="image",
        system="darwin",
        dictionary="probabilities",
    ),
    "litert": ExportFormat("LiteRT", "litert", ".tflite", ("litert_torch", "ai_edge_litert"), layout="NHWC"),
}


class Adapter(Protocol):
    """What the module of a format offers. Nothing of its packages is imported before it is called."""

    def write(self, graph: "Graph", path: Path, precision: Precision) -> None:
        """Write the exported model at `path`, where nothing is yet."""
        ...

    def open(self, path: Path, manifest: Manifest, threads: int | None) -> Runner:
        """The exported model in its own runtime; `threads` None: as many as the runtime likes."""
        ...


class Counting(Adapter, Protocol):
    """The module of a format whose files leave the model to another library, in one piece or in several."""

    def calls(self, path: Path) -> dict[str, int]:
        """How often a file calls that library, and every operation in between."""
        ...


def adapter(name: str) -> Adapter:
    """The module of a format; UsageError for an unknown name, MissingExtraError where its packages are not there."""
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    row = FORMATS[name]
    missing = [package for package in row.packages if find_spec(package) is None]
    if missing:
        raise MissingExtraError(f'{row.title} needs {" and ".join(missing)}: pip install "mobilevit[export]"')
    return cast(Adapter, import_module(f"mobilevit.formats.{row.module}"))


def is_exported(path: str | Path) -> bool:
    """Whether the name is that of an exported file or folder."""
    return Path(path).suffix in {row.suffix for row in FORMATS.values()}


def open_exported(path: str | Path, *, threads: int | None = None, image_size: int | None = None) -> Runner:
    """An exported file, ready to run by its manifest; WeightsError where they do not belong together.

    `image_size` None: its own size; UsageError for one that it was not exported for.
    """
    path = Path(path)
    manifest = read_manifest(path).at(image_size)
    if manifest.format not in FORMATS or FORMATS[manifest.format].suffix != path.suffix:
        raise WeightsError(f"{path}: its manifest speaks of another format, '{manifest.format}'")
    try:
        return adapter(manifest.format).open(path, manifest, threads)
    except (UsageError, MissingExtraError):
        raise
    except Exception as error:  # each runtime has its own kinds
        raise WeightsError(f"{path} cannot be opened by {FORMATS[manifest.format].title}: {words_of(error)}") from error
