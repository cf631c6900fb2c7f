"""Any file of weights, from this package or another, as the state dict of our network and its spec."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mobilevit import class_tables
from mobilevit.errors import WeightsError
from mobilevit.models.table import MODELS
from mobilevit.spec import ClassLabel, ModelSpec, Provenance, labels
from mobilevit.weights import containers
from mobilevit.weights.layouts import preprocessing
from mobilevit.weights.model_file import SPEC_KEY, read_spec
from mobilevit.weights.recognition import Recognised, recognise
from mobilevit.weights.translation import to_ours

log = logging.getLogger("mobilevit")


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds, in our layout."""

    state: dict[str, Tensor]  # float32
    recognised: Recognised  # as it was in the file
    spec: ModelSpec | None  # where this package wrote the file


def read(path: str | Path) -> tuple[dict[str, Tensor], ModelSpec]:
    """The state dict in float32 and the spec of any file whose layout is known; WeightsError otherwise.

    A file that this package wrote says itself what it is. Of any other, the preprocessing is taken to be that of the
    layout's public weights, and the classes to be those of ImageNet-1k, COCO or Pascal VOC where their number is that;
    the log says so.
    """
    checkpoint = open_checkpoint(Path(path))
    if checkpoint.spec is not None:
        return checkpoint.state, checkpoint.spec
    spec = spec_for(checkpoint.recognised, str(path))
    log.warning(
        "%s is %s. Taken for granted: input %s, and %s. `mobilevit convert` writes a file that says so itself.",
        path,
        checkpoint.recognised,
        spec.preprocessing.channel_order.upper(),
        _told(spec),
    )
    return checkpoint.state, spec


def open_checkpoint(path: Path) -> Checkpoint:
    """Any file whose layout is known, with nothing taken for granted; WeightsError otherwise."""
    try:
        tensors, spec_text = _from_torch(path) if containers.kind(path) == "torch" else _from_safetensors(path)
        recognised = recognise({key: tuple(tensor.shape) for key, tensor in tensors.items()})
        spec = None if spec_text is None else _agreeing(read_spec(spec_text), recognised)
        return Checkpoint(to_ours(tensors, recognised), recognised, spec)
    except WeightsError as error:
        raise error if str(path) in str(error) else WeightsError(f"{path}: {error}") from error


def spec_for(recognised: Recognised, source: str) -> ModelSpec:
    """The spec of weights that carry none: as the public weights of their layout."""
    return ModelSpec(
        architecture=recognised.architecture,
        task=MODELS[recognised.architecture].task,
        classes=usual_classes(MODELS[recognised.architecture].task, recognised.num_classes),
        preprocessing=preprocessing(recognised.architecture, recognised.layout),
        fuse_input=recognised.fuse_input,
        provenance=Provenance(source=source, note=f"converted from {recognised.layout} layout"),
    )


@dataclass(frozen=True)
class Usual:
    """The data set that the public weights of a task were trained on."""

    name: str
    classes: Callable[[], tuple[ClassLabel, ...]]


USUAL = {
    "classification": Usual("ImageNet-1k", class_tables.imagenet1k),
    "detection": Usual("COCO", class_tables.coco80),
    "segmentation": Usual("Pascal VOC", class_tables.voc21),
}


def usual_classes(task: str, num_classes: int | None = None) -> tuple[ClassLabel, ...]:
    """The classes of a network of which at most their number is known: the usual ones, or numbered ones."""
    usual = USUAL[task].classes()
    if num_classes in (None, len(usual)):
        return usual
    return labels(f"class_{index}" for index in range(num_classes or 0))


def _told(spec: ModelSpec) -> str:
    usual = USUAL[spec.task]
    return f"the classes of {usual.name} in their order" if spec.classes == usual.classes() else "classes without names"


# Where training programs keep the weights in their checkpoints; averaged ones come first.
WRAPPERS = {
    "ema_state_dict": "averaged (EMA)",  # cvnets
    "state_dict_ema": "averaged (EMA)",  # timm
    "model_state_dict": "last",  # cvnets
    "state_dict": "last",  # timm
    "model": "last",
}
PREFIXES = ("module.", "_orig_mod.", "ema_model.", "model.")  # of parallel, compiled and averaged networks
COUNTERS = ("n_averaged",)  # beside the weights in torch's AveragedModel
BASE = ("conv_stem.convolution.weight", "mobilevit.")  # transformers' network without classifier: key, missing prefix


def _from_torch(path: Path) -> tuple[dict[str, Tensor], str | None]:
    content = _unwrapped(path, containers.read_torch(path))
    strange = [str(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if strange or not content:
        shown = ", ".join(strange[:5]) or "nothing at all"
        raise WeightsError(f"{path} holds no state dict: it has {len(strange)} things beside tensors ({shown})")
    return _without_prefixes(content), getattr(content, SPEC_KEY, None)


def _from_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    texts, tensors = containers.read_safetensors(path)
    return _without_prefixes(tensors), texts.get(SPEC_KEY)


def _unwrapped(path: Path, content: Any) -> Mapping[str, Any]:
    """The state dict inside a training checkpoint, or `content` itself where it is one."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a state dict: save model.state_dict()")
    inner = [key for key in WRAPPERS if isinstance(content.get(key), Mapping)]
    if not inner:
        return content
    if len(inner) > 1:
        log.warning("%s: takes the %s weights ('%s') and leaves '%s'", path, WRAPPERS[inner[0]], inner[0], inner[1])
    return _unwrapped(path, content[inner[0]])


def _without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    plain = {key: tensor for key, tensor in tensors.items() if key not in COUNTERS}
    for prefix in PREFIXES * 2:  # they nest
        if all(key.startswith(prefix) for key in plain):
            plain = {key.removeprefix(prefix): tensor for key, tensor in plain.items()}
    if BASE[0] in plain:
        plain = {BASE[1] + key: tensor for key, tensor in plain.items()}
    return plain


def _agreeing(spec: ModelSpec, recognised: Recognised) -> ModelSpec:
    """`spec`, where the tensors are what it says."""
    said = spec.architecture, len(spec.classes), spec.fuse_input
    if said != (recognised.architecture, recognised.num_classes, recognised.fuse_input):
        raise WeightsError(f"its spec says {said[0]}, {said[1]} classes, but the tensors are {recognised}")
    return spec
