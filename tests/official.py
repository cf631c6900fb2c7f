"""The weights for which the official code's outputs are known: every value follows from its tensor's official name."""

import zlib

import numpy as np
import torch
from torch import Tensor

from mobilevit.models.table import MODELS
from mobilevit.weights.layouts import Layout, family, key_map, shapes

CLASSES = {"classification": 1000, "detection": 80, "segmentation": 21}  # of the public weights of each task


def num_classes(architecture: str) -> int:
    """How many classes the public weights of this model have."""
    return CLASSES[MODELS[architecture].task]


def layouts() -> list[tuple[str, Layout]]:
    """Every model in every layout that there is for it, to test them all."""
    return [(architecture, layout) for architecture in MODELS for layout in family(architecture).preprocessing]


def state(architecture: str, classes: int) -> dict[str, Tensor]:
    """A state dict of our model in float64."""
    names = key_map(architecture, "cvnets", classes, True)
    return {key: value(names[key][0], shape) for key, shape in shapes(architecture, classes, True).items()}


def value(official_key: str, shape: tuple[int, ...]) -> Tensor:
    """The rule of the reference outputs: a generator seeded by the key's CRC-32, scaled by the kind of tensor."""
    random = np.random.RandomState(zlib.crc32(official_key.encode()))
    if official_key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if official_key.endswith("running_var"):
        return torch.from_numpy(0.5 + random.random_sample(shape))
    normal = random.standard_normal(shape)
    if official_key.endswith(("running_mean", "bias")):
        return torch.from_numpy(0.1 * normal)
    if len(shape) == 1:
        return torch.from_numpy(1.0 + 0.1 * normal)
    return torch.from_numpy(normal / np.sqrt(np.prod(shape[1:])))


def image(height: int, width: int) -> Tensor:
    """The (1, 3, height, width) input of the reference outputs."""
    return torch.from_numpy(np.random.RandomState(0).random_sample((1, 3, height, width)))
