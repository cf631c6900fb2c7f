"""What is asked of the outputs of a model of any task."""

from collections.abc import Iterable

import torch
from torch import Tensor

from mobilevit.errors import WeightsError


def require_finite(outputs: Iterable[Tensor]) -> None:
    """WeightsError where an output is not a number: such a model has no answer and no score."""
    if not all(torch.isfinite(output).all() for output in outputs):
        raise WeightsError(
            "the model's outputs are not finite numbers: its weights are broken, or it was trained at too high a "
            "rate; take an earlier file of the run"
        )
