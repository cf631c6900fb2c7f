"""What is asked of the outputs of a model of any task."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.errors import WeightsError


def require_finite(outputs: Iterable[NDArray[Any]]) -> None:
    """WeightsError where an output is not a number: such a model has no answer and no score."""
    if not all(np.isfinite(output).all() for output in outputs):
        raise not_finite()


def not_finite() -> WeightsError:
    return WeightsError(
        "the model's outputs are not finite numbers: its weights are broken, or it was trained at too high a "
        "rate; take an earlier file of the run"
    )
