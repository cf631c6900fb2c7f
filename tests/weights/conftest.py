"""Weights that a test can make anywhere: every value follows from the official name of its tensor."""

import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from mobilevit.weights.layouts import Layout, key_map
from mobilevit.weights.recognition import Recognised, expected
from mobilevit.weights.translation import from_ours

Filled = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="session")
def filled() -> Filled:
    """`filled(architecture, layout, num_classes)`: a state dict in that layout, the same network for every layout.

    It is made once and lent to every test: leave it as it is.
    """
    return _filled


@cache
def _filled(architecture: str = "mobilevit_xxs", layout: Layout = "ours", num_classes: int = 1000) -> dict[str, Tensor]:
    names = key_map(architecture, "cvnets", num_classes, True)
    shapes = expected(Recognised("ours", architecture, num_classes))
    state = {key: _value(names[key][0], shape) for key, shape in shapes.items()}
    return from_ours(state, Recognised(layout, architecture, num_classes))


def _value(official_key: str, shape: tuple[int, ...]) -> Tensor:
    """The rule of the reference outputs: a generator seeded by the key's CRC-32, scaled by the kind of tensor."""
    random = np.random.RandomState(zlib.crc32(official_key.encode()))
    if official_key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if official_key.endswith("running_var"):
        return torch.from_numpy(0.5 + random.random_sample(shape)).float()
    normal = random.standard_normal(shape)
    if official_key.endswith(("running_mean", "bias")):
        return torch.from_numpy(0.1 * normal).float()
    if len(shape) == 1:
        return torch.from_numpy(1.0 + 0.1 * normal).float()
    return torch.from_numpy(normal / np.sqrt(np.prod(shape[1:]))).float()
