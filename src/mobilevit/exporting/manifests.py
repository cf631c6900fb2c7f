"""What a manifest says of an exported file before it was compared."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from mobilevit import __version__
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest, Port, sha256_of
from mobilevit.formats.table import FORMATS, Format, Precision
from mobilevit.spec import Preprocessing

DTYPES = {torch.float32: "float32", torch.int32: "int32"}
CHANNELS = "channels red, green, blue, 0-255; their scale and order are the network's business"


def draft(graph: Graph, name: str, precision: Precision, path: Path, *, meanings: Mapping[str, str]) -> Manifest:
    """The manifest of the file at `path`; `meanings` says for people what the outputs are."""
    row, side = FORMATS[name], graph.size_px
    with torch.no_grad():
        tensors = graph.module(graph.example)
    batch = "batch" if row.any_batch else 1
    shape = (batch, side, side, 3) if row.layout == "NHWC" else (batch, 3, side, side)
    return Manifest(
        format=name,
        precision=precision,
        file=path.name,
        sha256=sha256_of(path),
        spec=graph.spec,
        inputs=(Port("pictures", shape, "float32", f"{row.layout}, {CHANNELS}"),),
        outputs=tuple(
            _port(name, tensor, batch, meanings) for name, tensor in zip(graph.outputs, tensors, strict=True)
        ),
        left_to_do=(),
        versions=_versions(row),
    )


def _port(name: str, tensor: Tensor, batch: int | str, meanings: Mapping[str, str]) -> Port:
    return Port(name, (batch, *tensor.shape[1:]), DTYPES[tensor.dtype], meanings.get(name, ""))


def resize_in_words(preprocessing: Preprocessing) -> str:
    """What a program does with a picture before the network."""
    side, short = preprocessing.size_px, preprocessing.resize_px
    upright = "Turn the picture upright (EXIF) and to RGB"
    if preprocessing.fit == "stretch":
        how = f"resize all of it to {side} x {side}, its aspect not kept"
    else:
        how = f"resize its short side to {short}, its aspect kept, and cut out the centre of {side} x {side}"
    return f"{upright}; {how} ({preprocessing.interpolation}, antialiased where that can be had)."


def _versions(row: Format) -> dict[str, str]:
    return {"mobilevit": __version__, "torch": torch.__version__, **{name: _version(name) for name in row.packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
