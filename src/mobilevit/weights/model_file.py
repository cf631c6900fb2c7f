"""The model file: safetensors with the tensors in the layout of this package and, in its header, spec and checksum."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from torch import Tensor

from mobilevit.errors import WeightsError
from mobilevit.files import write_atomically
from mobilevit.models.anchors import are_valid
from mobilevit.models.table import MODELS
from mobilevit.spec import ChannelOrder, Fit, Interpolation, ModelSpec, repeated_id
from mobilevit.text import words_of
from mobilevit.weights import containers
from mobilevit.weights.recognition import Recognized, check, recognize
from mobilevit.weights.translation import to_ours

SPEC_KEY = "mobilevit_spec"  # of the header's texts


def save(path: str | Path, state: Mapping[str, Tensor], spec: ModelSpec) -> None:
    """Write a model file, whole or not at all, with its checksum; an older file stays until the new one is complete.

    Tensors keep their dtype. OutputError if `path` cannot be written.
    """
    write_atomically(Path(path), containers.safetensors_bytes(header(spec), state))


def load(path: str | Path) -> tuple[dict[str, Tensor], ModelSpec]:
    """The state dict in float32, and the spec; WeightsError, naming the file, if it is not a model file."""
    path = Path(path)
    if containers.kind(path) == "torch":
        raise WeightsError(f"{path} is a torch file, which has no spec. {_CONVERT}")
    texts, tensors = containers.read_safetensors(path)
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    try:
        if SPEC_KEY not in texts:
            raise WeightsError(f"it has no spec; its tensors are those of {recognize(found)}. {_CONVERT}")
        spec = read_spec(texts[SPEC_KEY])
        recognized = Recognized("ours", spec.architecture, len(spec.classes), spec.fuse_input)
        check(found, recognized)
        return to_ours(tensors, recognized), spec
    except WeightsError as error:
        raise error.after(f"{path}: ") from error


def rewrite(path: Path, spec: ModelSpec) -> None:
    """Replace the spec of a model file. Its tensors stay bit for bit; a reader sees the old file or the new one.

    WeightsError if it is not a model file.
    """
    load(path)  # refuses what is not whole
    _, tensors = containers.read_safetensors(path)
    save(path.resolve(), tensors, spec)  # what a link points to, not the link


def in_half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` in float16, for storage at half the size; WeightsError where a value is too large for it."""
    halved = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    for key, tensor in halved.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{key} is out of the range of float16: keep this model in float32")
    return halved


def header(spec: ModelSpec) -> dict[str, str]:
    """The texts of a safetensors header; other packages look for "format"."""
    return {"format": "pt", SPEC_KEY: spec.to_json()}


def read_spec(text: str) -> ModelSpec:
    """The inverse of `ModelSpec.to_json`, with every value validated, since files are untrusted."""
    try:
        spec = ModelSpec.from_json(text)
        check_spec(spec)
    except (TypeError, RecursionError) as error:
        raise WeightsError(f"the model file's spec cannot be read: {words_of(error)}") from error
    return spec


_CONVERT = "Give it one with `mobilevit convert IN OUT.safetensors --layout ours`."


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
