"""The class rows of a model's last layers: counted, selected, and filled up. In the layout of this package."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.models.table import MODELS


@dataclass(frozen=True)
class ClassRows:
    """The rows of the classes in some layers: `groups` times first the `shared` rows, then a row per class."""

    groups: Mapping[str, int]  # of each layer, by its name
    shared: int = 0


ROWS = {
    "classification": ClassRows({"classifier": 1}),
    # of every anchor four rows for the box and one for the background
    "detection": ClassRows({f"heads.{i}.predict": len(sizes) for i, sizes in enumerate(PAPER_SIZES)}, shared=4 + 1),
    "segmentation": ClassRows({"classifier": 1, "auxiliary.classifier": 1}),
}


def count(architecture: str, shape: Callable[[str], Sequence[int]]) -> int:
    """The number of classes, by the shape of the tensor of each of our keys, empty where there is none.

    Only a classifier can have none; other models count as having one at least.
    """
    task = MODELS[architecture].task
    rows, fewest = ROWS[task], 0 if task == "classification" else 1
    layer, groups = next(iter(rows.groups.items()))
    size = tuple(shape(f"{layer}.weight"))
    return max(size[0] // groups - rows.shared, fewest) if size else fewest


def choose(state: Mapping[str, Tensor], architecture: str, classes: Sequence[int]) -> dict[str, Tensor]:
    """`state` with the rows of these classes only, in this order; rows that all classes share stay."""
    rows = ROWS[MODELS[architecture].task]
    chosen = [*range(rows.shared), *(rows.shared + index for index in classes)]
    return {
        key: tensor if groups is None else _grouped(tensor, groups)[:, chosen].flatten(0, 1)
        for key, tensor, groups in _layers(state, rows)
    }


def complete(state: Mapping[str, Tensor], fresh: Mapping[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """`fresh` with everything in `state` copied over; missing classes and layers keep the fresh values."""
    rows = ROWS[MODELS[architecture].task]
    whole: dict[str, Tensor] = {}
    for key, tensor, groups in _layers(fresh, rows):
        known = state.get(key, tensor)
        if groups is not None:
            known, filling = _grouped(known, groups), _grouped(tensor, groups)
            known = torch.cat([known, filling[:, known.shape[1] :]], dim=1).flatten(0, 1)
        whole[key] = known
    return whole


def _layers(state: Mapping[str, Tensor], rows: ClassRows) -> list[tuple[str, Tensor, int | None]]:
    """Every tensor with its number of groups; None where it has no rows of classes."""
    return [(key, tensor, rows.groups.get(key.rpartition(".")[0])) for key, tensor in state.items()]


def _grouped(tensor: Tensor, groups: int) -> Tensor:
    """(groups * rows, ...) -> (groups, rows, ...)."""
    return tensor.reshape(groups, tensor.shape[0] // groups, *tensor.shape[1:])
