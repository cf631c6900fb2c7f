"""What can be made of 8 bits in each format. Another format is one module beside this, and one row here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from torch import Tensor

from mobilevit.errors import MissingExtraError, unknown
from mobilevit.formats import table
from mobilevit.formats.graph import Graph
from mobilevit.formats.table import FORMATS

PACKAGES: Mapping[str, tuple[str, ...]] = {  # that have to be importable beside those of the format
    "onnx": (),
    "openvino": ("nncf",),
    "litert": ("ai_edge_quantizer",),
    "executorch": ("torchao",),
    "coreml": (),
}


@dataclass(frozen=True)
class Source:
    """What is made smaller."""

    graph: Graph
    file: Path  # the graph as it is exported, in the format's first precision
    images: Tensor  # (N, 3, S, S) uint8 RGB, to calibrate on


Choice = Callable[[Source, Path], None]  # writes the exported model at a path where nothing is yet


class Quantizer(Protocol):
    """What the module of a format offers. Nothing of its packages is imported before a choice is called."""

    CHOICES: Mapping[str, Choice]


def choices_of(name: str) -> Mapping[str, Choice]:
    """The choices of a format by name; UsageError for an unknown one, MissingExtraError where a package is missing."""
    if name not in PACKAGES:
        raise unknown("format for 8 bits", name, PACKAGES)
    table.adapter(name)
    missing = [package for package in PACKAGES[name] if find_spec(package) is None]
    if missing:
        needed = " and ".join(missing)
        raise MissingExtraError(f'{FORMATS[name].title} in 8 bits needs {needed}: pip install "mobilevit[quantize]"')
    return cast(Quantizer, import_module(f"mobilevit.quantization.{name}")).CHOICES
