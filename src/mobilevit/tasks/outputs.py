"""What metrics of all tasks ask of a network's outputs."""

import torch

from mobilevit.errors import WeightsError
from mobilevit.tasks.base import Outputs


def require_finite(outputs: Outputs) -> None:
    """WeightsError where an output is not a number: such a network has no score."""
    if not all(torch.isfinite(output).all() for output in outputs.values()):
        raise WeightsError(
            "the network's outputs are not finite numbers: its weights are broken, or it was trained at too high a "
            "rate; take an earlier file of the run"
        )
