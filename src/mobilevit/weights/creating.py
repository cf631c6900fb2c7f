"""Networks by name or from a file: `create` to train, `load` to use. Each carries its spec."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

from torch import Tensor, nn

from mobilevit import class_tables
from mobilevit.errors import UsageError, WeightsError
from mobilevit.models.mobilevit import PatchSizes
from mobilevit.models.table import MODELS, build, resolve
from mobilevit.spec import ClassLabel, ModelSpec
from mobilevit.weights import sources
from mobilevit.weights.blank import blank
from mobilevit.weights.checkpoint import usual_classes

log = logging.getLogger("mobilevit")


def create(
    name: str,
    *,
    num_classes: int | None = None,
    classes: Sequence[ClassLabel] = (),
    weights: str | Path = "none",
    patch_sizes: PatchSizes = (2, 2, 2),
    fuse_input: bool = True,
) -> nn.Module:
    """A network in training mode; (B, 3, H, W), 0-1, in `spec.preprocessing.channel_order` -> (B, classes) logits.

    `name` is a model or an alias. `weights` is "none" (the paper's initialisation), "imagenet", a name of the
    catalogue or a file. Without `classes` and `num_classes` the classes are those of the weights, or ImageNet-1k's;
    `num_classes=0` gives pooled features. Other classes than the weights': where each of them is one of theirs, their
    rows of the classifier are kept in the new order, otherwise the classifier starts anew; the log says which.

    UsageError for unknown names; WeightsError where the weights are of another model; DownloadError offline.
    """
    architecture = resolve(name)
    _check_classes(num_classes, classes)
    if weights == "none":
        state: dict[str, Tensor] = {}
        spec = ModelSpec(architecture, MODELS[architecture].task, usual_classes(1000), patch_sizes=patch_sizes)
        spec = replace(spec, classes=_wanted(num_classes, classes, spec.classes), fuse_input=fuse_input)
    else:
        state, spec = sources.read(weights, architecture)
        _check_network(weights, spec, architecture, patch_sizes, fuse_input)
        state, spec = _with_classes(state, spec, _wanted(num_classes, classes, spec.classes))
    network = build(architecture, len(spec.classes), patch_sizes=patch_sizes, fuse_input=fuse_input)
    network.load_state_dict({**network.state_dict(), **state})
    return _carrying(network, spec)


def load(path_or_name: str | Path) -> nn.Module:
    """A network in evaluation mode from a file, a name of the catalogue, or a model's name (its ImageNet weights)."""
    state, spec = sources.read(path_or_name)
    network = blank(spec.architecture, len(spec.classes), patch_sizes=spec.patch_sizes, fuse_input=spec.fuse_input)
    network.load_state_dict(state, assign=True)
    return _carrying(network, spec).eval()


def spec_of(model: nn.Module) -> ModelSpec:
    """The spec that a network carries; UsageError where it was not made by `create` or `load`."""
    spec = getattr(model, "spec", None)
    if not isinstance(spec, ModelSpec):
        raise UsageError(
            f"this {type(model).__name__} carries no spec: make it with mobilevit.create or mobilevit.load"
        )
    return spec


CLASSIFIER = ("classifier.weight", "classifier.bias")  # in our layout; one row a class


def _check_classes(num_classes: int | None, classes: Sequence[ClassLabel]) -> None:
    if num_classes is not None and (not isinstance(num_classes, Integral) or num_classes < 0):
        raise UsageError(f"num_classes is {num_classes!r}: it must be a whole number, 0 (pooled features) or more")
    if not all(isinstance(label, ClassLabel) for label in classes):
        raise UsageError(f"classes is {classes!r}: give ClassLabels, such as mobilevit.spec.labels(['cat', 'dog'])")
    if classes and num_classes not in (None, len(classes)):
        raise UsageError(f"num_classes is {num_classes}, but {len(classes)} classes are given: leave out one of them")
    if len({label.id for label in classes}) < len(classes):
        raise UsageError("two of the classes have the same id")


def _wanted(
    num_classes: int | None, classes: Sequence[ClassLabel], present: tuple[ClassLabel, ...]
) -> tuple[ClassLabel, ...]:
    """The classes that were asked for; those of the weights where only their number was, or nothing."""
    if classes or num_classes is None or num_classes == len(present):
        return tuple(classes) or present
    return usual_classes(num_classes)


def _check_network(
    weights: str | Path, spec: ModelSpec, architecture: str, patch_sizes: PatchSizes, fuse_input: bool
) -> None:
    if spec.architecture != architecture:
        raise WeightsError(f"weights '{weights}' are of {spec.architecture}, not of {architecture}")
    for name, asked, stored in (
        ("patch_sizes", tuple(patch_sizes), spec.patch_sizes),
        ("fuse_input", fuse_input, spec.fuse_input),
    ):
        if asked != stored:
            raise WeightsError(f"weights '{weights}' were trained with {name}={stored}, not {asked}")


def _with_classes(
    state: dict[str, Tensor], spec: ModelSpec, wanted: tuple[ClassLabel, ...]
) -> tuple[dict[str, Tensor], ModelSpec]:
    """The weights for other classes: with their rows of the classifier, or without a classifier."""
    if wanted == spec.classes:
        return state, spec
    backbone = {key: tensor for key, tensor in state.items() if key not in CLASSIFIER}
    rows = _rows(wanted, spec.classes)
    if wanted and not rows:
        log.warning("new classifier for %d classes: the weights have %s", len(wanted), _described(spec.classes))
    if rows:
        log.warning("classifier kept: all %d classes are among the %d of the weights", len(wanted), len(spec.classes))
        backbone |= {key: state[key][rows] for key in CLASSIFIER}
    return backbone, replace(spec, classes=wanted)


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


def _carrying(network: nn.Module, spec: ModelSpec) -> nn.Module:
    network.spec = spec  # type: ignore[assignment]
    return network
