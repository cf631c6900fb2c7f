"""The model file: safetensors with the tensors in the layout of this package and, in its header, spec and checksum."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mobilevit.errors import WeightsError
from mobilevit.files import write_atomically
from mobilevit.spec import ModelSpec
from mobilevit.weights import containers
from mobilevit.weights.recognition import Recognized, check, recognize
from mobilevit.weights.spec_checks import read_spec
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


_CONVERT = "Give it one with `mobilevit convert IN OUT.safetensors --layout ours`."
