"""Models by name or from a file: `create` to train, `load` to use. Each carries its spec."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor, nn

from mobilevit import class_tables
from mobilevit.errors import UsageError, WeightsError
from mobilevit.models.anchor_sizes import AnchorSizes
from mobilevit.models.table import MODELS, build, resolve
from mobilevit.models.variants import PatchSizes
from mobilevit.spec import ClassLabel, ModelSpec, Provenance, repeated_id
from mobilevit.weights import heads, sources
from mobilevit.weights.blank import blank
from mobilevit.weights.checkpoint import usual_classes
from mobilevit.weights.layouts import preprocessing

log = logging.getLogger("mobilevit")


def create(
    name: str,
    *,
    num_classes: int | None = None,
    classes: Sequence[ClassLabel] = (),
    weights: str | Path = "none",
    patch_sizes: PatchSizes = (2, 2, 2),
    fuse_input: bool = True,
    anchors: AnchorSizes = (),
) -> nn.Module:
    """A model in training mode; (B, 3, H, W), 0-1, in `spec.preprocessing.channel_order` -> the output of its task.

    `name` is a model or an alias. `weights` is "none" (the paper's initialization), "imagenet", "coco" or "voc" (the
    published weights of that size), a name of the catalog, or a file; from another model of that size only the backbone
    is used. Without `classes` and `num_classes`, the classes are those of the weights, or of ImageNet-1k, COCO or
    Pascal VOC; `num_classes=0` gives a classifier without a last layer, whose output is the pooled features. If all
    wanted classes are classes of the weights, their rows of the head are kept, in the new order; otherwise the head is
    initialized. The log reports it. `anchors` are a detector's own (`SSDLite`); default: those of the weights, or the
    paper's.

    UsageError for unknown names; WeightsError if the weights are of another size, or damaged so that the model's
    output is not finite; DownloadError offline.
    """
    architecture = resolve(name)
    _check_classes(architecture, num_classes, classes)
    start, state = _fresh(architecture, patch_sizes, fuse_input, anchors), dict[str, Tensor]()
    if weights != "none":
        start, state = _started(weights, start)
    wanted = _wanted(num_classes, classes, start)
    threshold = start.score_threshold if wanted == start.classes else None  # it was chosen over all of them
    spec = replace(start, classes=wanted, score_threshold=threshold)
    state = _with_classes(state, start, spec.classes)
    model = build(architecture, len(spec.classes), patch_sizes=patch_sizes, fuse_input=fuse_input, anchors=spec.anchors)
    model.load_state_dict(heads.complete(state, model.state_dict(), architecture))
    if weights != "none":
        require_finite_output(model.eval(), weights)
    return _carrying(model.train(), spec)


def load(path_or_name: str | Path) -> nn.Module:
    """A model in evaluation mode from a file, a name of the catalog, or a model's name (its published weights).

    WeightsError if its output is not finite, which means that its weights are damaged.
    """
    state, spec = sources.read(path_or_name)
    model = blank(
        spec.architecture,
        len(spec.classes),
        patch_sizes=spec.patch_sizes,
        fuse_input=spec.fuse_input,
        anchors=spec.anchors,
    )
    model.load_state_dict(state, assign=True)
    require_finite_output(model.eval(), path_or_name)
    return _carrying(model, spec)


def require_finite_output(model: nn.Module, weights: str | Path) -> None:
    """WeightsError, naming the `weights`, if the output of a model in evaluation mode for a fixed input is not finite.

    Finite weights are not enough: a negative variance in a BatchNorm makes all that follow NaN.
    """
    noise = torch.rand(1, 3, CHECKED_PX, CHECKED_PX, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = model(noise.to(next(model.parameters()).device))
    tensors = output if isinstance(output, tuple) else (output,)
    if not all(tensor.isfinite().all() for tensor in tensors if tensor is not None):
        raise WeightsError(
            f"weights '{weights}' are damaged: the model's output for a fixed input is not finite. Take another "
            "copy, or an earlier file of the run"
        )


CHECKED_PX = 64  # side of that input: enough to run through all layers


def spec_of(model: nn.Module) -> ModelSpec:
    """The spec of a model; UsageError if it was not made by `create` or `load`."""
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"this {type(model).__name__} has no spec: make it with mobilevit.create or mobilevit.load")
    return spec


def _fresh(architecture: str, patch_sizes: PatchSizes, fuse_input: bool, anchors: AnchorSizes) -> ModelSpec:
    """The spec of a model without weights, with the classes that are usual for its task."""
    task = MODELS[architecture].task
    return ModelSpec(
        architecture=architecture,
        task=task,
        classes=usual_classes(task),
        preprocessing=preprocessing(architecture, "ours"),
        patch_sizes=patch_sizes,
        fuse_input=fuse_input,
        anchors=anchors,
    )


BACKBONE = "backbone."  # how its keys begin in our layout, in every model


def _started(weights: str | Path, asked: ModelSpec) -> tuple[ModelSpec, dict[str, Tensor]]:
    """The spec and the tensors to start from: all of the same model's weights, or another one's backbone."""
    state, found = sources.read(weights, asked.architecture)
    for name, wanted, stored in (
        ("patch_sizes", tuple(asked.patch_sizes), found.patch_sizes),
        ("fuse_input", asked.fuse_input, found.fuse_input),
    ):
        if wanted != stored:
            raise WeightsError(f"weights '{weights}' were trained with {name}={stored}, not {wanted}")
    if found.architecture == asked.architecture:
        return replace(found, anchors=asked.anchors or found.anchors), state
    log.warning("only the backbone of weights '%s' is used: they are for %s", weights, found.architecture)
    return _on_backbone(asked, found), {key: tensor for key, tensor in state.items() if key.startswith(BACKBONE)}


def _on_backbone(asked: ModelSpec, found: ModelSpec) -> ModelSpec:
    """`asked` for the backbone of `found`: with its channel order, its source and terms."""
    origin = found.provenance
    return replace(
        asked,
        preprocessing=replace(asked.preprocessing, channel_order=found.preprocessing.channel_order),
        provenance=Provenance(origin.source, origin.license, note=f"only the backbone, of {found.architecture}"),
    )


def _check_classes(architecture: str, num_classes: int | None, classes: Sequence[ClassLabel]) -> None:
    task = MODELS[architecture].task
    if num_classes is not None and not (isinstance(num_classes, Integral) and num_classes >= 0):
        raise UsageError(f"num_classes is {num_classes!r}: it must be a whole number, 0 (pooled features) or more")
    if num_classes == 0 and task != "classification":
        raise UsageError(
            f"num_classes is 0: a model for {task} needs at least one class; only a classifier can have none"
        )
    if classes and num_classes not in (None, len(classes)):
        raise UsageError(f"num_classes is {num_classes}, but {len(classes)} classes are given: leave one of them out")
    if not all(isinstance(label, ClassLabel) for label in classes):
        raise UsageError("classes must be ClassLabels: make them with mobilevit.spec.labels(names)")
    if (repeated := repeated_id(classes)) is not None:
        raise UsageError(f"two of the classes have the same id, '{repeated}'")


def _wanted(num_classes: int | None, classes: Sequence[ClassLabel], present: ModelSpec) -> tuple[ClassLabel, ...]:
    """The classes that were asked for; those that are present where only their number was, or nothing."""
    if classes or num_classes in (None, len(present.classes)):
        return tuple(classes) or present.classes
    return usual_classes(present.task, num_classes)


def _with_classes(state: dict[str, Tensor], start: ModelSpec, wanted: tuple[ClassLabel, ...]) -> dict[str, Tensor]:
    """The weights for other classes: with the rows of those that they know, or of none."""
    if wanted == start.classes or all(key.startswith(BACKBONE) for key in state):
        return state
    rows = _rows(wanted, start.classes)
    if rows:
        log.warning("classifier kept: all %d classes are among the %d of the weights", len(wanted), len(start.classes))
    elif wanted:
        log.warning("new classifier for %d classes: the weights have %s", len(wanted), _described(start.classes))
    return heads.choose(state, start.architecture, rows)


def _rows(wanted: Sequence[ClassLabel], classes: Sequence[ClassLabel]) -> list[int]:
    """Where each wanted class is among `classes`; empty where one is not there, or two are the same."""
    by_id = class_tables.match([label.id for label in wanted], classes)
    by_name = class_tables.match([label.name for label in wanted], classes)
    rows = [first if first is not None else second for first, second in zip(by_id, by_name, strict=True)]
    found = [row for row in rows if row is not None]
    return found if len(set(found)) == len(wanted) else []


def _described(classes: Sequence[ClassLabel]) -> str:
    shown = ", ".join(label.name for label in classes[:3])
    return f"{len(classes)} others ({shown}, ...)" if classes else "none"


def _carrying(model: nn.Module, spec: ModelSpec) -> nn.Module:
    model.spec = spec  # type: ignore[assignment]
    return model
