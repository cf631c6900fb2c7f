"""Recognizes a set of tensors by keys and shapes: layout, model, number of classes. Strict."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mobilevit.errors import WeightsError
from mobilevit.models.table import MODELS
from mobilevit.weights.heads import count
from mobilevit.weights.layouts import LAYOUTS, Layout, family, key_map, shapes

Shapes = Mapping[str, Sequence[int]]

MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Recognized:
    """The layout and the model of a checkpoint."""

    layout: Layout
    architecture: str
    num_classes: int  # 0: it has no classifier
    fuse_input: bool = True  # False: the paper's ablation, known by the absence of every fusion layer

    def __str__(self) -> str:
        counted = f"{self.num_classes} class{'es' if self.num_classes > 1 else ''}"
        classifier = counted if self.num_classes else "no classifier"
        return f"{self.architecture} in {self.layout} layout, {classifier}"


def recognize(found: Shapes) -> Recognized:
    """The layout and the model of `found` (key -> shape).

    WeightsError, with a list, if there is none, or if keys are unknown, missing or of another shape. Only
    `num_batches_tracked` may be missing: older files lack it, and the model does not use it.
    """
    layout, alike = _layout(found)
    architecture = max(alike, key=lambda name: _agreement(found, Recognized(layout, name, EXAMPLE)))
    recognized = Recognized(layout, architecture, *_head_and_fusion(found, layout, architecture))
    check(found, recognized)
    return recognized


def check(found: Shapes, recognized: Recognized) -> None:
    """WeightsError that lists every kind of difference between `found` and what `recognized` must have."""
    wanted = expected(recognized)
    unknown = [key for key in found if key not in wanted]
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    misshapen = [key for key in found if key in wanted and tuple(found[key]) != wanted[key]]
    lines = [
        *_listed("unknown", [f"{_shown(key)}{_nearest(key, missing or wanted)}" for key in unknown[:SHOWN]], unknown),
        *_listed("missing", missing[:SHOWN], missing),
        *_listed("misshapen", [f"{k} is {_size(found[k])}, not {_size(wanted[k])}" for k in misshapen], misshapen),
    ]
    if lines:
        raise WeightsError(f"recognized as {recognized}, but the tensors do not fit:", *(f"  {line}" for line in lines))


def expected(recognized: Recognized) -> dict[str, tuple[int, ...]]:
    """Every key in the checkpoint's own layout, with its shape."""
    model = recognized.architecture, recognized.num_classes, recognized.fuse_input
    names = key_map(model[0], recognized.layout, model[1], model[2])
    return {
        part: tuple(shape) if len(parts) == 1 else (shape[0] // len(parts), *shape[1:])
        for (key, parts), shape in zip(names.items(), shapes(*model).values(), strict=True)
        for part in parts
    }


SHOWN = 5  # of each kind of difference

# beginnings of keys that are of something else, which can then be named
OTHERS = {
    "encoder.": "a model for detection or segmentation, on another backbone or with another head",
    "mobilevitv2.": "a MobileViTv2",
    "optimizer.": "the state of a training run; its models are best.safetensors and last.safetensors in the run folder",
}


EXAMPLE = 100  # classes of the models that `found` is compared with


def _layout(found: Shapes) -> tuple[Layout, list[str]]:
    """The layout, and the models that have such names in it: they differ in shapes."""
    alike: dict[frozenset[str], tuple[Layout, list[str]]] = {}
    for name in MODELS:
        for layout in family(name).preprocessing:
            alike.setdefault(_names(name, layout), (layout, []))[1].append(name)
    names = max(alike, key=lambda names: len(names & found.keys()))
    if len(names & found.keys()) < len(names) // 2:
        others = [what for beginning, what in OTHERS.items() if any(key.startswith(beginning) for key in found)]
        what = f"It looks like {others[0]}." if others else f"Supported layouts: {', '.join(LAYOUTS)}."
        keys = ", ".join(_shown(key) for key in list(found)[:SHOWN])
        raise WeightsError(f"not a MobileViT: {len(found)} tensors ({keys or 'none'}). {what}")
    return alike[names]


@cache
def _names(architecture: str, layout: Layout) -> frozenset[str]:
    return frozenset(expected(Recognized(layout, architecture, EXAMPLE)))


def _agreement(found: Shapes, candidate: Recognized) -> int:
    return sum(tuple(found[key]) == shape for key, shape in expected(candidate).items() if key in found)


def _head_and_fusion(found: Shapes, layout: Layout, architecture: str) -> tuple[int, bool]:
    names = key_map(architecture, layout, EXAMPLE, True)
    num_classes = count(architecture, lambda key: found.get(names[key][0], ()))
    if num_classes > MAX_CLASSES:
        raise WeightsError(f"its classifier has {num_classes:,} classes; at most {MAX_CLASSES:,} are supported")
    return num_classes, any(name in found for key, (name, *_) in names.items() if ".fusion." in key)


def _listed(kind: str, texts: Sequence[str], keys: Sequence[str]) -> Iterable[str]:
    if keys:
        more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        yield f"{len(keys)} {kind}: {', '.join(texts[:SHOWN])}{more}"


def _nearest(key: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(_shown(key), names, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _shown(key: str) -> str:
    return key if len(key) <= 100 else f"{key[:97]}..."


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"
