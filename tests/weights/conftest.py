"""Weights that a test can make anywhere: every value follows from the official name of its tensor."""

from collections.abc import Callable
from functools import cache

import official
import pytest
from torch import Tensor

from mobilevit.weights.layouts import Layout
from mobilevit.weights.recognition import Recognized
from mobilevit.weights.translation import from_ours

Filled = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="session")
def filled() -> Filled:
    """`filled(architecture, layout, num_classes)`: a state dict in that layout, the same model for every layout.

    Without `num_classes` it has as many as the public weights.

    It is made once and lent to every test: leave it as it is.
    """
    return _filled


@cache
def _filled(
    architecture: str = "mobilevit_xxs", layout: Layout = "ours", num_classes: int | None = None
) -> dict[str, Tensor]:
    classes = official.num_classes(architecture) if num_classes is None else num_classes
    exact = official.state(architecture, classes)
    state = {key: value.float() if value.is_floating_point() else value for key, value in exact.items()}
    return from_ours(state, Recognized(layout, architecture, classes))
