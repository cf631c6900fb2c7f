"""A stored ModelSpec, with every value checked: a file may hold anything."""

import reprlib
from typing import get_args

from mobilevit.errors import WeightsError
from mobilevit.models.anchor_sizes import are_valid
from mobilevit.models.table import MODELS
from mobilevit.spec import ChannelOrder, Fit, Interpolation, ModelSpec, repeated_id
from mobilevit.text import words_of


def read_spec(text: str) -> ModelSpec:
    """The inverse of `ModelSpec.to_json`, with every value validated, since files are untrusted."""
    try:
        spec = ModelSpec.from_json(text)
        check_spec(spec)
    except (TypeError, RecursionError) as error:
        raise WeightsError(f"the model file's spec cannot be read: {words_of(error)}") from error
    return spec


def check_spec(spec: ModelSpec) -> None:
    """WeightsError if a value of a spec, although of the right type, is invalid."""
    if spec.architecture not in MODELS:
        named = reprlib.repr(spec.architecture)  # short, whatever it is
        raise WeightsError(
            f"its architecture is {named}, which this version does not have; available: {', '.join(MODELS)}"
        )
    image = spec.preprocessing
    for name, value, valid in (
        ("task", spec.task, spec.task == MODELS[spec.architecture].task),
        ("image_size", image.image_size, _whole(image.image_size, 32, 8192)),
        ("resize_px", image.resize_px, _whole(image.resize_px, 32, 8192)),
        ("fit", image.fit, image.fit in get_args(Fit)),
        ("interpolation", image.interpolation, image.interpolation in get_args(Interpolation)),
        ("channel_order", image.channel_order, image.channel_order in get_args(ChannelOrder)),
        ("patch_sizes", spec.patch_sizes, [_whole(side, 1, 64) for side in spec.patch_sizes] == [True] * 3),
        ("fuse_input", spec.fuse_input, isinstance(spec.fuse_input, bool)),
        ("anchors", spec.anchors, not spec.anchors or (spec.task == "detection" and are_valid(spec.anchors))),
        ("score_threshold", spec.score_threshold, spec.score_threshold is None or spec.task == "detection"),
        ("classes", spec.classes, spec.classes or spec.task == "classification"),
        (
            "classes",
            "not text",
            all(isinstance(text, str) for label in spec.classes for text in (label.id, label.name)),
        ),
        ("provenance", spec.provenance, all(isinstance(text, str) for text in vars(spec.provenance).values())),
    ):
        if not valid:
            raise WeightsError(f"the model file's spec has {name} {reprlib.repr(value)}, which cannot be")
    if (repeated := repeated_id(spec.classes)) is not None:
        raise WeightsError(f"the model file's spec has two classes with the id {reprlib.repr(repeated)}")


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
