"""`export`: a model as files for other runtimes. Each is written whole, compared, and then put in its place."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from mobilevit import tasks
from mobilevit.errors import UsageError
from mobilevit.exporting import parity
from mobilevit.exporting.divergence import first_difference
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.manifests import manifest_of
from mobilevit.exporting.parity import Parity
from mobilevit.exporting.placing import place, put, require_ours
from mobilevit.exporting.views import Views, views_of
from mobilevit.files import temporary_folder
from mobilevit.formats import Runner, table
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest
from mobilevit.formats.quiet_libraries import refusal_of
from mobilevit.formats.running import ExportedRunner
from mobilevit.formats.table import FORMATS, Precision
from mobilevit.formats.torch import TorchRunner
from mobilevit.images.sources import AnySource
from mobilevit.spec import at_size
from mobilevit.tasks.base import Task
from mobilevit.tasks.program import Program
from mobilevit.weights.creating import load, require_finite_output, spec_of


@dataclass(frozen=True)
class ExportedModel:
    """An exported file and its proof."""

    path: Path
    manifest: Manifest
    parities: Mapping[int, Parity]  # by the side of the images in px; empty: it was not compared
    seconds: float  # for writing and comparing it

    @property
    def parity(self) -> Parity | None:
        """At the file's own size; None where it was not compared."""
        return self.parities.get(self.manifest.spec.preprocessing.image_size)


def export(
    model: str | Path | nn.Module,
    formats: Sequence[str] = ("onnx",),
    *,
    verify: AnySource | Iterable[AnySource] = (),
    output: str | Path | None = None,
    name: str | None = None,
    precision: Precision | None = None,
    image_size: int | None = None,
    image_sizes: Sequence[int] = (),
) -> list[ExportedModel]:
    """Write a model in some formats and, with images to `verify` on, compare each with the model in its runtime.

    `model` is a model file, a name of the catalog, or a model with a spec. The files go beside the model file, or
    into the folder `output`, and are called as it is or `name`. `precision` None: float32, for Core ML float16.
    `image_size` None: the model's own. ONNX files may take `image_sizes` besides, each of which is compared.

    UsageError for unknown formats, and for sizes that a file cannot take; MissingExtraError where a package is missing;
    ImageError; OutputError where something else has the name, or the disk is full; ParityError where a file gives
    other answers, WeightsError where they are not finite: that file is not kept.
    """
    jobs = _jobs(formats, precision)
    _must_be_comparable(jobs, image_sizes, bool(verify))
    loaded = load(model) if isinstance(model, str | Path) else model.eval()
    require_finite_output(loaded, spec_of(loaded).architecture)
    folder, stem = place(model, output, name or spec_of(loaded).architecture, keep=name is not None)
    task = tasks.get(spec_of(loaded).task)
    graph = graph_of(loaded, task, image_size, image_sizes)
    preprocessings = [at_size(graph.spec, side).preprocessing for side in graph.image_sizes]
    views = dict(zip(graph.image_sizes, views_of(verify, preprocessings), strict=True)) if verify else {}
    reference = TorchRunner(Program(loaded, graph.spec, task), graph.spec, torch.device("cpu"))
    exporter = Exporter(task, graph, reference, views)
    for job, _ in jobs:
        require_ours(folder / f"{stem}{FORMATS[job].suffix}")
    return [exporter.write(job, folder / f"{stem}{FORMATS[job].suffix}", chosen) for job, chosen in jobs]


def _jobs(formats: Sequence[str], precision: Precision | None) -> list[tuple[str, Precision]]:
    """Each format once, with its precision."""
    if not formats:
        raise UsageError(f"no format: choose among {', '.join(FORMATS)}")
    jobs: list[tuple[str, Precision]] = []
    for name in dict.fromkeys(formats):
        table.adapter(name)
        offered = FORMATS[name].precisions
        if precision is not None and precision not in offered:
            raise UsageError(f"{name} is not written in {precision}: choose {' or '.join(offered)}")
        jobs.append((name, precision or offered[0]))
    return jobs


def _must_be_comparable(jobs: Sequence[tuple[str, Precision]], image_sizes: Sequence[int], verify: bool) -> None:
    """UsageError where several sizes are asked of a format of one, or without images to compare on."""
    fixed = [name for name, _ in jobs if not FORMATS[name].any_size]
    if image_sizes and fixed:
        raise UsageError(f"a file of {fixed[0]} has one size: several are for onnx; choose it by --image-size")
    if image_sizes and not verify:
        raise UsageError("several sizes are promised where each was compared: give images to --verify")


@dataclass(frozen=True)
class Exporter:
    """One model on its way into several formats."""

    task: Task
    graph: Graph
    reference: Runner
    views: Mapping[int, Views]  # by their side; none: nothing is compared

    def write(self, name: str, path: Path, precision: Precision) -> ExportedModel:
        """One exported model at `path` with its manifest, compared where there are images."""
        started = time.monotonic()
        with temporary_folder(path.parent, "export") as folder:
            temporary = folder / path.name
            with refusal_of(FORMATS[name].title, temporary):
                table.adapter(name).write(self.graph, temporary, precision)
                manifest = manifest_of(self.task, self.graph, name, precision, temporary)
                opened = [
                    table.adapter(name).open(temporary, manifest.at(side), None) for side in self.graph.image_sizes
                ]
                if not self.views:
                    opened[0](self.graph.example.byte().numpy())  # not compared, yet it runs and its answer is finite
            found = {
                side: self._compared(cast(ExportedRunner, runner), self.views[side], temporary)
                for side, runner in zip(self.graph.image_sizes, opened, strict=True)
                if self.views
            }
            if found:
                manifest = replace(manifest, parity=_proof(precision, found))
            put(temporary, path, manifest)
        return ExportedModel(path, manifest, found, time.monotonic() - started)

    def _compared(self, runner: ExportedRunner, views: Views, path: Path) -> Parity:
        name, precision = runner.manifest.format, cast(Precision, runner.manifest.precision)
        side = runner.spec.preprocessing.image_size
        with refusal_of(FORMATS[name].title):
            found = parity.compare(runner, self.reference, views, self.task)
        if parity.faults(found, precision):
            with refusal_of(FORMATS[name].title):
                where = first_difference(self.graph, name, precision, views.images[:4])
            raise parity.refusal(path, found, precision, f"That is at {side} px. {where}")
        return found


def _proof(precision: Precision, found: Mapping[int, Parity]) -> dict[str, Any]:
    """What the manifest records: what was found at the file's own size, which comes first, and at further ones."""
    (_, own), *others = found.items()
    proof = {"limits": asdict(parity.LIMITS[precision]), **asdict(own)}
    return proof | ({"further_px": {str(side): asdict(one) for side, one in others}} if others else {})
