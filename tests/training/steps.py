"""One step of the optimizer on made-up images, for each task, in as many processes and batches as wanted.

Under `torchrun` this file is a script: every process takes its share of the same eight images, and the leading one
saves the losses and the gradients by task and number of batches.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mobilevit.loading.batch import Batch
from mobilevit.models.table import build, for_task
from mobilevit.tasks import TASKS
from mobilevit.tasks.detection.crops import Seen
from mobilevit.training.config import OptimizerConfig, TrainConfig
from mobilevit.training.distributed import Group, joined
from mobilevit.training.model_setup import training_mode, wrapped
from mobilevit.training.step import TrainStep

CONFIG = TrainConfig(data=Path(), freeze_norm=True, optim=OptimizerConfig(grad_clip_norm=0.0))
IMAGES = 8


class InDouble(nn.Module):
    """A model in float64, so that a gradient depends on what is added up and not on the order of it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.double()

    def forward(self, images: torch.Tensor) -> Any:
        return self.model(images.double())


Outcome = tuple[float, dict[str, torch.Tensor]]


def one_step(task: str, shares: list[list[int]], group: Group, grad_clip_norm: float = 0.0) -> Outcome:
    """The mean loss and the gradients of a step that takes the images of `shares`, a batch each."""
    step = a_step(task, group, grad_clip_norm)
    before = {name: value.detach().clone() for name, value in step.model.named_parameters()}
    outcome = step([a_batch(task, share) for share in shares], lr=1.0, seed=0)
    assert outcome.images == IMAGES
    return outcome.loss_total / outcome.loss_count, {
        name: before[name] - value.detach() for name, value in step.model.named_parameters()
    }


def a_step(task: str, group: Group, grad_clip_norm: float = 0.0) -> TrainStep:
    """Of a model that is the same every time."""
    torch.manual_seed(0)
    model = InDouble(build(for_task("mobilevit_xxs", task), 3))
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    training_mode(model, CONFIG)
    return TrainStep(
        model,
        wrapped(model, CONFIG, group, torch.device("cpu")),
        TASKS[task],
        sgd(model),
        replace(CONFIG.optim, grad_clip_norm=grad_clip_norm),
        channel_order="rgb",
        nominal_count=32,
        amp_dtype=None,
        group=group,
        class_weights=torch.tensor([0.5, 1.0, 2.0]),
    )


def sgd(model: nn.Module) -> torch.optim.SGD:
    """At a rate of one the change of the weights is the gradient."""
    return torch.optim.SGD([{"params": model.parameters(), "lr_factor": 1.0}], lr=1.0)


def a_batch(task: str, indices: list[int]) -> Batch:
    images = torch.randint(0, 256, (IMAGES, 3, SIDE_PX, SIDE_PX), generator=torch.Generator().manual_seed(1))
    targets = TASKS[task].collate([TARGETS[task][index] for index in indices])
    return Batch(images[indices].byte(), targets, torch.tensor(indices))


def _boxes() -> Sequence[Seen]:
    """None in the first image, one more in each further one."""
    rng = np.random.default_rng(2)
    found = []
    for count in range(IMAGES):
        low, extent = rng.uniform(0, 0.5, (count, 2)), rng.uniform(0.1, 0.5, (count, 2))
        boxes = np.concatenate([low, low + extent], axis=1).astype(np.float32)
        found.append(Seen(boxes, rng.integers(3, size=count)))
    return found


def _masks() -> Sequence[np.ndarray]:
    """Of each image another share is ignored, of the first all."""
    rng = np.random.default_rng(3)
    masks = rng.integers(3, size=(IMAGES, SIDE_PX, SIDE_PX)).astype(np.uint8)
    for index, mask in enumerate(masks):
        mask[: SIDE_PX - 8 * index] = 255
    return list(masks)


SIDE_PX = 64
TARGETS: dict[str, Sequence[Any]] = {
    "classification": [index % 3 for index in range(IMAGES)],
    "detection": _boxes(),
    "segmentation": _masks(),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined("cpu") as group:
        share = list(range(group.rank, IMAGES, group.world_size))
        outcomes = {
            f"{task} in {batches}": one_step(task, [share[place::batches] for place in range(batches)], group)
            for task in TARGETS
            for batches in (1, 2)
        }
        if group.leads:
            torch.save(outcomes, sys.argv[1])
