"""One step of the optimiser on made-up pictures, in as many processes and batches as wanted.

Under `torchrun` this file is a script: every process takes its share of the same eight pictures, and the leading one
saves the loss and the gradients.
"""

import sys
from pathlib import Path

import torch
from torch import nn

from mobilevit.data.sample import Batch
from mobilevit.models.table import build
from mobilevit.tasks import TASKS
from mobilevit.training.config import OptimiserConfig, TrainConfig
from mobilevit.training.distributed import Group, joined
from mobilevit.training.network import training_mode, wrapped
from mobilevit.training.step import TrainStep

CONFIG = TrainConfig(data=Path(), freeze_norm=True, optim=OptimiserConfig(clip_norm=0.0))
PICTURES = 8


class InDouble(nn.Module):
    """A network in float64, so that a gradient depends on what is added up and not on the order of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.double()

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(pictures.double())


def one_step(shares: list[list[int]], group: Group) -> tuple[float, dict[str, torch.Tensor]]:
    """The mean loss and the gradients of a step that takes the pictures of `shares`, a batch each."""
    torch.manual_seed(0)
    network = InDouble(build("mobilevit_xxs", 3))
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    training_mode(network, CONFIG)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    step = TrainStep(
        network,
        wrapped(network, CONFIG, group, torch.device("cpu")),
        TASKS["classification"],
        sgd(network),
        CONFIG.optim,
        channel_order="rgb",
        nominal_count=32,
        amp_dtype=None,
        group=group,
        class_weights=torch.tensor([0.5, 1.0, 2.0]),
    )
    outcome = step([_batch(share) for share in shares], lr=1.0, seed=0)
    assert outcome.pictures == PICTURES
    return outcome.loss_total / outcome.loss_count, {
        name: before[name] - value.detach() for name, value in network.named_parameters()
    }


def sgd(network: nn.Module) -> torch.optim.SGD:
    """At a rate of one the change of the weights is the gradient."""
    return torch.optim.SGD([{"params": network.parameters(), "lr_factor": 1.0}], lr=1.0)


def _batch(indices: list[int]) -> Batch:
    pictures = torch.randint(0, 256, (PICTURES, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    return Batch(pictures[indices].byte(), torch.arange(PICTURES)[indices] % 3, torch.tensor(indices))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined("cpu") as group:
        loss, gradients = one_step([list(range(group.rank, PICTURES, group.world_size))], group)
        if group.leads:
            torch.save({"loss": loss, "gradients": gradients}, sys.argv[1])
