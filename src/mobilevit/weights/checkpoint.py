"""Any file of weights, from this package or another, as the state dict of our model and its spec."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mobilevit import class_tables
from mobilevit.errors import WeightsError
from mobilevit.models.table import MODELS
from mobilevit.spec import ClassLabel, ModelSpec, Provenance, labels
from mobilevit.typed import parsed
from mobilevit.weights import containers
from mobilevit.weights.layouts import preprocessing
from mobilevit.weights.model_file import SPEC_KEY
from mobilevit.weights.recognition import Recognized, recognize
from mobilevit.weights.spec_checks import read_spec
from mobilevit.weights.translation import to_ours

log = logging.getLogger("mobilevit")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weight file, in the layout of this package."""

    state: dict[str, Tensor]  # float32
    recognized: Recognized  # as it was in the file
    spec: ModelSpec | None  # where this package wrote the file


def read(path: str | Path) -> tuple[dict[str, Tensor], ModelSpec]:
    """The state dict in float32 and the spec of a file in any known layout; WeightsError otherwise.

    A model file of this package carries its spec. For any other, the preprocessing of the layout's public weights is
    assumed, and the classes of ImageNet-1k, COCO or Pascal VOC if their number matches; the log states it.
    """
    checkpoint = open_checkpoint(Path(path))
    if checkpoint.spec is not None:
        return checkpoint.state, checkpoint.spec
    spec = spec_for(checkpoint.recognized, str(path))
    if checkpoint.recognized.layout == "transformers" and (named := names_beside(Path(path), len(spec.classes))):
        spec = replace(spec, classes=named)
    log.warning(
        "%s is %s. Assumed: input %s, and %s. `mobilevit convert` writes a file that states both.",
        path,
        checkpoint.recognized,
        spec.preprocessing.channel_order.upper(),
        _told(spec),
    )
    return checkpoint.state, spec


def open_checkpoint(path: Path) -> Checkpoint:
    """A file in any known layout, without assumptions; WeightsError otherwise."""
    try:
        stored, spec_text = _from_torch(path) if containers.kind(path) == "torch" else _from_safetensors(path)
        tensors, recognized = _without_prefix(path, stored)
        spec = None if spec_text is None else _agreeing(read_spec(spec_text), recognized)
        return Checkpoint(to_ours(tensors, recognized), recognized, spec)
    except WeightsError as error:
        raise error if str(path) in str(error) else error.after(f"{path}: ") from error


def spec_for(recognized: Recognized, source: str) -> ModelSpec:
    """The spec of weights without one: that of the public weights in their layout."""
    return ModelSpec(
        architecture=recognized.architecture,
        task=MODELS[recognized.architecture].task,
        classes=usual_classes(MODELS[recognized.architecture].task, recognized.num_classes),
        preprocessing=preprocessing(recognized.architecture, recognized.layout),
        fuse_input=recognized.fuse_input,
        provenance=Provenance(source=source, note=f"converted from {recognized.layout} layout"),
    )


@dataclass(frozen=True)
class Usual:
    """The dataset that the public weights of a task were trained on."""

    name: str
    classes: Callable[[], tuple[ClassLabel, ...]]


USUAL = {
    "classification": Usual("ImageNet-1k", class_tables.imagenet1k),
    "detection": Usual("COCO", class_tables.coco80),
    "segmentation": Usual("Pascal VOC", class_tables.voc21),
}


def usual_classes(task: str, num_classes: int | None = None) -> tuple[ClassLabel, ...]:
    """The classes of a model of which at most their number is known: the usual ones, or numbered ones."""
    usual = USUAL[task].classes()
    if num_classes in (None, len(usual)):
        return usual
    return labels(f"class_{index}" for index in range(num_classes or 0))


def _told(spec: ModelSpec) -> str:
    usual = USUAL[spec.task]
    if spec.classes == usual.classes():
        return f"the classes of {usual.name} in their order"
    numbered = spec.classes == usual_classes(spec.task, len(spec.classes))
    return "classes without names" if numbered else f"the classes of the {CONFIG} beside it"


# Where training programs keep the weights in their checkpoints; averaged ones come first.
WRAPPERS = {
    "ema_state_dict": "averaged (EMA)",  # cvnets
    "state_dict_ema": "averaged (EMA)",  # timm
    "model_ema": "averaged (EMA)",
    "ema": "averaged (EMA)",
    "model_state_dict": "last",  # cvnets
    "state_dict": "last",  # timm
    "model": "last",
}
COVERS = ("module", "_orig_mod")  # names that torch's parallel and compiled models put into keys, at any place
COUNTERS = ("n_averaged",)  # beside the weights in torch's AveragedModel
STEMS = (  # the first tensor in every layout; what stands before it in a file is a prefix
    "backbone.stem.conv.weight",
    "conv_1.block.conv.weight",
    "encoder.conv_1.block.conv.weight",
    "stem.conv.weight",
    "mobilevit.conv_stem.convolution.weight",
    "conv_stem.convolution.weight",
)
BASE = ("conv_stem.convolution.weight", "mobilevit.")  # transformers' model without classifier: key, missing prefix


def _from_torch(path: Path) -> tuple[dict[str, Tensor], str | None]:
    content = _unwrapped(path, containers.read_torch(path))
    strange = [str(key) for key, value in content.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if strange or not content:
        shown = ", ".join(strange[:5]) or "nothing at all"
        raise WeightsError(f"{path} is not a state dict: it has {len(strange)} entries other than tensors ({shown})")
    return dict(content), getattr(content, SPEC_KEY, None)


def _from_safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    texts, tensors = containers.read_safetensors(path)
    return tensors, texts.get(SPEC_KEY)


def _unwrapped(path: Path, content: Any) -> Mapping[str, Any]:
    """The state dict inside a training checkpoint, or `content` itself where it is one."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} contains a {type(content).__name__}, not a state dict: save model.state_dict()")
    inner = [key for key in WRAPPERS if _holds_tensors(content.get(key))]
    if not inner:
        return _flat(content) or content
    if len(inner) > 1:
        log.warning("%s: takes the %s weights ('%s') and leaves '%s'", path, WRAPPERS[inner[0]], inner[0], inner[1])
    return _unwrapped(path, content[inner[0]])


def _holds_tensors(content: Any) -> bool:
    """Whether it is a dict with a tensor in it, or in a dict in it."""
    return isinstance(content, Mapping) and any(
        isinstance(value, Tensor) or (isinstance(value, Mapping) and any(isinstance(t, Tensor) for t in value.values()))
        for value in content.values()
    )


def _flat(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of all dicts in a checkpoint that keeps its weights under a name of its own; empty where it has none.

    {"net": {"stem.weight": ...}, "optimizer": ..., "epoch": 3} holds "net.stem.weight".
    """
    inner = {
        f"{outer}.{key}": value
        for outer, mapping in content.items()
        if isinstance(mapping, Mapping)
        for key, value in mapping.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    return {**{key: value for key, value in content.items() if isinstance(value, Tensor)}, **inner} if inner else {}


def _without_prefix(path: Path, stored: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Recognized]:
    """The tensors under the names of their layout, whatever the program that saved them put before each.

    What lies outside of the prefix is left, and the log says so. WeightsError where nothing fits, or where several
    models do and none of them is the averaged one.
    """
    plain = {_uncovered(key): tensor for key, tensor in stored.items() if key not in COUNTERS}
    fitting: dict[str, tuple[dict[str, Tensor], Recognized]] = {}
    refusals: dict[str, WeightsError] = {}
    for prefix in _prefixes(plain) or [""]:
        if any(prefix.startswith(found) for found in fitting):
            continue  # a part of a model that was found whole
        below = _with_base({key.removeprefix(prefix): t for key, t in plain.items() if key.startswith(prefix)})
        try:
            fitting[prefix] = below, recognize({key: tuple(tensor.shape) for key, tensor in below.items()})
        except WeightsError as error:
            refusals[prefix] = error
    if not fitting:
        prefix, refusal = next(iter(refusals.items()))
        raise refusal.after(f"below the prefix '{prefix}' of its keys, " if prefix else "")
    prefix = _chosen(list(fitting))
    others = [key for key in plain if not key.startswith(prefix)]
    if others:
        log.warning("%s: takes the keys below '%s' and leaves %d others, as '%s'", path, prefix, len(others), others[0])
    return fitting[prefix]


def _uncovered(key: str) -> str:
    return ".".join(part for part in key.split(".") if part not in COVERS)


def _prefixes(tensors: Mapping[str, Tensor]) -> list[str]:
    """What may stand before every key of a model, that of the most keys first."""
    found = {key.removesuffix(stem) for stem in STEMS for key in tensors if f".{key}".endswith(f".{stem}")}
    return sorted(found, key=lambda prefix: (-sum(key.startswith(prefix) for key in tensors), prefix))


def _with_base(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {BASE[1] + key: tensor for key, tensor in tensors.items()} if BASE[0] in tensors else tensors


def _chosen(prefixes: list[str]) -> str:
    """The only prefix, or that of averaged weights."""
    averaged = [prefix for prefix in prefixes if "ema" in prefix.lower()]
    found = averaged if len(averaged) == 1 else prefixes
    if len(found) > 1:
        named = " and ".join(f"'{prefix}'" for prefix in found)
        raise WeightsError(f"it contains several models, below {named}: save the state dict of one of them")
    return found[0]


CONFIG = "config.json"  # of Transformers, beside the weights


def names_beside(path: Path, num_classes: int) -> tuple[ClassLabel, ...]:
    """The class names in the config.json beside a Transformers file; none if it does not name all of them.

    Its `id2label` has them by index, in any order; if it is missing, `label2id` is used instead.
    """
    config = path.with_name(CONFIG)
    try:
        content = parsed(config.read_text(encoding="utf-8"))
        names = _by_index(content)
    except (OSError, UnicodeDecodeError):
        return ()
    except (WeightsError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s has no valid class names (%s)", config, error)
        return ()
    if not names or all(re.fullmatch(r"LABEL_\d+", name) for name in names.values()):
        return ()  # Transformers' own words for nothing
    if sorted(names) != list(range(num_classes)):
        log.warning(
            "%s has %d class names, but the weights have %d classes: its names are not used",
            config,
            len(names),
            num_classes,
        )
        return ()
    ordered = [names[index] for index in range(num_classes)]
    if len({*ordered}) == num_classes:
        return labels(ordered)
    return tuple(ClassLabel(str(index), name) for index, name in enumerate(ordered))


def _by_index(config: Any) -> dict[int, str]:
    """The names by index; ValueError, TypeError or AttributeError where the config is another one."""
    names = {int(index): name for index, name in (config.get("id2label") or {}).items()}
    names = names or {index: name for name, index in (config.get("label2id") or {}).items()}
    if strange := [name for index, name in names.items() if type(index) is not int or not isinstance(name, str)]:
        raise ValueError(f"{strange[0]!r} is not a valid class name")
    return names


def _agreeing(spec: ModelSpec, recognized: Recognized) -> ModelSpec:
    """`spec`, where the tensors are what it says."""
    said = spec.architecture, len(spec.classes), spec.fuse_input
    if said != (recognized.architecture, recognized.num_classes, recognized.fuse_input):
        raise WeightsError(f"its spec says {said[0]}, {said[1]} classes, but the tensors are {recognized}")
    return spec
