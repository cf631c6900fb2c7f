"""Tensors from any layout to ours, and back. Nothing is read or written here."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mobilevit.errors import WeightsError
from mobilevit.weights.layouts import STEM_KEY, key_map, shapes
from mobilevit.weights.recognition import Recognized


def to_ours(tensors: Mapping[str, Tensor], recognized: Recognized) -> dict[str, Tensor]:
    """The state dict of our model, in float32, from tensors that passed `recognition.check`."""
    model = recognized.architecture, recognized.num_classes, recognized.fuse_input
    names = key_map(model[0], recognized.layout, model[1], model[2])
    return {key: _joined(key, [tensors[part] for part in names[key] if part in tensors]) for key in shapes(*model)}


def from_ours(state: Mapping[str, Tensor], recognized: Recognized) -> dict[str, Tensor]:
    """The inverse: `state` under the names of `recognized.layout`."""
    names = key_map(recognized.architecture, recognized.layout, recognized.num_classes, recognized.fuse_input)
    return {
        part: rows.clone()
        for key, parts in names.items()
        for part, rows in zip(parts, state[key].chunk(len(parts)) if len(parts) > 1 else (state[key],), strict=True)
    }


def flip_channels(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model (in our layout) that gives for RGB what `state` gives for BGR, and the other way round."""
    return {**state, STEM_KEY: state[STEM_KEY].flip(1)}


def _joined(key: str, parts: list[Tensor]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return parts[0].detach().to(torch.int64, copy=True) if parts else torch.zeros((), dtype=torch.int64)
    for part in parts:
        if not part.is_floating_point() or part.layout is not torch.strided:
            raise WeightsError(f"{key} is stored as {part.dtype}, {part.layout}: expected floating-point numbers")
    whole = torch.cat([part.detach() for part in parts]).to(torch.float32).contiguous()
    if not whole.isfinite().all():
        raise WeightsError(f"{key} holds values that are not finite: the training that made them diverged")
    return whole
