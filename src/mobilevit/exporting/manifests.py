"""What a manifest says of an exported file before it was compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from mobilevit import __version__
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest, TensorInfo, sha256_of
from mobilevit.formats.table import FORMATS, Counting, ExportFormat, adapter
from mobilevit.spec import Preprocessing, at_size
from mobilevit.tasks.base import Task

DTYPES = {torch.float32: "float32", torch.int32: "int32"}
BY_SIZE = "by size"  # a length that follows from the size of the images
CHANNELS = "channels red, green, blue, 0-255; their scale and order are the model's business"


def manifest_of(task: Task, graph: Graph, name: str, precision: str, path: Path) -> Manifest:
    """All that a program has to know of the file at `path`, which nothing is claimed of yet."""
    thresholds = dict(task.interface.thresholds)
    if graph.spec.score_threshold is not None:
        thresholds["score_threshold"] = graph.spec.score_threshold.value
    after = [step.format(**thresholds) for step in task.interface.left_to_do]
    return replace(
        draft(graph, name, precision, path, meanings=task.interface.outputs),
        left_to_do=(resize_in_words(graph.spec.preprocessing), *_further_sizes(graph), *after),
        thresholds=thresholds,
    )


def draft(graph: Graph, name: str, precision: str, path: Path, *, meanings: Mapping[str, str]) -> Manifest:
    """The manifest of the file at `path`; `meanings` says for people what the outputs are."""
    row, side = FORMATS[name], BY_SIZE if graph.further_px else graph.image_size
    with torch.no_grad():
        by_size = [graph.module(graph.example_of(image_size)) for image_size in graph.image_sizes]
    batch = "batch" if row.any_batch else 1
    shapes = {"NCHW": (batch, 3, side, side), "NHWC": (batch, side, side, 3), "image": (side, side)}
    dtype = "image" if row.layout == "image" else "float32"
    return Manifest(
        format=name,
        precision=precision,
        file=path.name,
        sha256=sha256_of(path),
        spec=graph.spec,
        image_sizes=graph.image_sizes,
        inputs=(TensorInfo("images", shapes[row.layout], dtype, f"{row.layout}, {CHANNELS}"),),
        outputs=tuple(
            _dictionary(output, len(graph.spec.classes), meanings)
            if output == row.dictionary and graph.spec.classes
            else _port(output, tensors, batch, meanings)
            for output, tensors in zip(graph.outputs, zip(*by_size, strict=True), strict=True)
        ),
        left_to_do=(),
        calls=cast(Counting, adapter(name)).calls(path) if row.counts_calls else {},
        versions=_versions(row),
        num_classes=len(graph.spec.classes),
    )


def _port(name: str, by_size: Sequence[Tensor], batch: int | str, meanings: Mapping[str, str]) -> TensorInfo:
    """An output that has one shape, or one for each size of the images."""
    extents = zip(*(tensor.shape[1:] for tensor in by_size), strict=True)
    shape = (lengths[0] if len({*lengths}) == 1 else BY_SIZE for lengths in extents)
    return TensorInfo(name, (batch, *shape), DTYPES[by_size[0].dtype], meanings.get(name, ""))


def _dictionary(name: str, count: int, meanings: Mapping[str, str]) -> TensorInfo:
    """An output that the format hands out by the classes' names; `count` is how many these are."""
    meaning = f"a dictionary, by the names of the classes (with the id where several share one): {meanings[name]}"
    return TensorInfo(name, (count,), "dictionary", f"{meaning}; the likeliest name itself is the output classLabel")


def resize_in_words(preprocessing: Preprocessing) -> str:
    """What a program does with an image before the model."""
    side, short = preprocessing.image_size, preprocessing.resize_px
    upright = "Turn the image upright (EXIF) and to RGB"
    if preprocessing.fit == "stretch":
        how = f"resize all of it to {side} x {side}, its aspect not kept"
    else:
        how = f"resize its short side to {short}, its aspect kept, and cut out the center of {side} x {side}"
    return f"{upright}; {how} ({preprocessing.interpolation}, antialiased where that can be had)."


def _further_sizes(graph: Graph) -> tuple[str, ...]:
    """What else the image may be resized to, where the file takes several sizes."""
    others = [at_size(graph.spec, side).preprocessing for side in graph.further_px]
    short = [f" (short side {other.resize_px})" if other.fit == "crop" else "" for other in others]
    said = [f"{other.image_size} x {other.image_size}{more}" for other, more in zip(others, short, strict=True)]
    return (f"In place of it the model takes {' or '.join(said)}.",) if said else ()


def _versions(row: ExportFormat) -> dict[str, str]:
    return {"mobilevit": __version__, "torch": torch.__version__, **{name: _version(name) for name in row.packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
