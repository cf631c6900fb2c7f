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
from mobilevit.spec import Step, at_size
from mobilevit.tasks.base import Task

DTYPES = {torch.float32: "float32", torch.int32: "int32"}
BY_SIZE = "by size"  # a length that follows from the size of the images
CHANNELS = "channels red, green, blue, 0-255; their scale and order are the model's business"


def manifest_of(task: Task, graph: Graph, name: str, precision: str, path: Path) -> Manifest:
    """All that a program has to know of the file at `path`, which nothing is claimed of yet."""
    thresholds = dict(task.interface.thresholds)
    if graph.spec.score_threshold is not None:
        thresholds["score_threshold"] = graph.spec.score_threshold.value
    drafted = draft(graph, name, precision, path, descriptions=task.interface.outputs)
    return replace(
        drafted,
        postprocessing=tuple(_with_numbers(step, thresholds) for step in task.interface.postprocessing),
        thresholds=thresholds,
    )


def _with_numbers(step: Step, thresholds: Mapping[str, float]) -> Step:
    """A step of a task with the model's own thresholds."""
    own = {name: thresholds.get(name, value) for name, value in step.parameters.items()}
    return replace(step, parameters=own, description=step.description.format(**own))


def draft(graph: Graph, name: str, precision: str, path: Path, *, descriptions: Mapping[str, str]) -> Manifest:
    """The manifest of the file at `path`; `descriptions` says for people what the outputs are."""
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
            _dictionary(output, len(graph.spec.classes), descriptions)
            if output == row.dictionary and graph.spec.classes
            else _port(output, tensors, batch, descriptions)
            for output, tensors in zip(graph.outputs, zip(*by_size, strict=True), strict=True)
        ),
        preprocessing=preprocessing_steps(graph),
        postprocessing=(),
        delegate_calls=cast(Counting, adapter(name)).calls(path) if row.counts_calls else {},
        versions=_versions(row),
        num_classes=len(graph.spec.classes),
        license=graph.spec.provenance.license,
    )


def _port(name: str, by_size: Sequence[Tensor], batch: int | str, descriptions: Mapping[str, str]) -> TensorInfo:
    """An output that has one shape, or one for each size of the images."""
    extents = zip(*(tensor.shape[1:] for tensor in by_size), strict=True)
    shape = (lengths[0] if len({*lengths}) == 1 else BY_SIZE for lengths in extents)
    return TensorInfo(name, (batch, *shape), DTYPES[by_size[0].dtype], descriptions.get(name, ""))


def _dictionary(name: str, count: int, descriptions: Mapping[str, str]) -> TensorInfo:
    """An output that the format hands out by the classes' names; `count` is how many these are."""
    description = (
        f"a dictionary, by the names of the classes (with the id where several share one): {descriptions[name]}"
    )
    return TensorInfo(
        name, (count,), "dictionary", f"{description}; the likeliest name itself is the output classLabel"
    )


def preprocessing_steps(graph: Graph) -> tuple[Step, ...]:
    """What a program does with an image before the model, at the file's own size."""
    image, others = graph.spec.preprocessing, _other_sizes(graph)
    how = {"interpolation": image.interpolation, "antialias": True}
    upright = Step("to_upright_rgb", {}, "Apply the EXIF orientation; convert to 8-bit RGB.")
    if image.fit == "stretch":
        size = {"width": image.image_size, "height": image.image_size}
        return upright, Step("resize", {**size, **how}, f"Resize, ignoring the aspect ratio.{others}")
    return (
        upright,
        Step("resize_short_side", {"short_side": image.resize_px, **how}, "Resize, keeping the aspect ratio."),
        Step("center_crop", {"size": image.image_size}, f"Cut out the central square.{others}"),
    )


def _other_sizes(graph: Graph) -> str:
    """What else the image may be resized to, where the file takes several sizes."""
    others = [at_size(graph.spec, side).preprocessing for side in graph.further_px]
    short = [f" (short side {other.resize_px})" if other.fit == "crop" else "" for other in others]
    said = [f"{other.image_size}{more}" for other, more in zip(others, short, strict=True)]
    return f" The model also takes squares of {' or '.join(said)} px." if said else ""


def _versions(row: ExportFormat) -> dict[str, str]:
    return {"mobilevit": __version__, "torch": torch.__version__, **{name: _version(name) for name in row.packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
