"""What a manifest says of an exported file before it was compared."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor

from mobilevit import __version__
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest, Port, sha256_of
from mobilevit.formats.table import FORMATS, Format
from mobilevit.spec import Preprocessing
from mobilevit.tasks.base import Task

DTYPES = {torch.float32: "float32", torch.int32: "int32"}
CHANNELS = "channels red, green, blue, 0-255; their scale and order are the network's business"


def manifest_of(task: Task, graph: Graph, name: str, precision: str, path: Path) -> Manifest:
    """All that a program has to know of the file at `path`, which nothing is claimed of yet."""
    return replace(
        draft(graph, name, precision, path, meanings=task.interface.outputs),
        left_to_do=(resize_in_words(graph.spec.preprocessing), *task.interface.left_to_do),
        thresholds=dict(task.interface.thresholds),
    )


def draft(graph: Graph, name: str, precision: str, path: Path, *, meanings: Mapping[str, str]) -> Manifest:
    """The manifest of the file at `path`; `meanings` says for people what the outputs are."""
    row, side = FORMATS[name], graph.size_px
    with torch.no_grad():
        tensors = graph.module(graph.example)
    batch = "batch" if row.any_batch else 1
    shapes = {"NCHW": (batch, 3, side, side), "NHWC": (batch, side, side, 3), "image": (side, side)}
    dtype = "image" if row.layout == "image" else "float32"
    return Manifest(
        format=name,
        precision=precision,
        file=path.name,
        sha256=sha256_of(path),
        spec=graph.spec,
        inputs=(Port("pictures", shapes[row.layout], dtype, f"{row.layout}, {CHANNELS}"),),
        outputs=tuple(
            _dictionary(output, len(graph.spec.classes), meanings)
            if output == row.dictionary and graph.spec.classes
            else _port(output, tensor, batch, meanings)
            for output, tensor in zip(graph.outputs, tensors, strict=True)
        ),
        left_to_do=(),
        versions=_versions(row),
    )


def _port(name: str, tensor: Tensor, batch: int | str, meanings: Mapping[str, str]) -> Port:
    return Port(name, (batch, *tensor.shape[1:]), DTYPES[tensor.dtype], meanings.get(name, ""))


def _dictionary(name: str, count: int, meanings: Mapping[str, str]) -> Port:
    """An output that the format hands out by the classes' names; `count` is how many these are."""
    meaning = f"a dictionary, by the names of the classes (with the id where several share one): {meanings[name]}"
    return Port(name, (count,), "dictionary", f"{meaning}; the likeliest name itself is the output classLabel")


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
