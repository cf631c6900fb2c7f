"""The project's own training step, on whatever model."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from gpu_parts.made import model_for
from mobilevit.loading.batch import Batch
from mobilevit.tasks import TASKS
from mobilevit.training.config import OptimizerConfig, TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.model_setup import training_mode
from mobilevit.training.step import TrainStep

# No clipping and frozen statistics: then a step's gradient is the sum over its images, however these are split.
PLAIN = TrainConfig(data=Path(), freeze_norm=True, optim=OptimizerConfig(grad_clip_norm=0.0))

Gradient = dict[str, torch.Tensor]


def train_step(task: str, device: torch.device, amp_dtype: torch.dtype | None = None) -> TrainStep:
    """A step of plain gradient descent on the smallest model for a task."""
    model = model_for(task).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training_mode(model, PLAIN)
    return step_of(model, model, task, sgd(model), amp_dtype)


def step_of(
    model: nn.Module,
    forward: nn.Module,
    task: str,
    optimizer: torch.optim.Optimizer,
    amp_dtype: torch.dtype | None = None,
    config: OptimizerConfig = PLAIN.optim,
    group: Group = Group(),  # noqa: B008 (frozen)
) -> TrainStep:
    return TrainStep(
        model,
        forward,
        TASKS[task],
        optimizer,
        config,
        channel_order="rgb",
        nominal_count=8,
        amp_dtype=amp_dtype,
        group=group,
    )


def sgd(model: nn.Module) -> torch.optim.SGD:
    """At a rate of one the change of the weights is the gradient."""
    return torch.optim.SGD([{"params": model.parameters(), "lr_factor": 1.0}], lr=1.0)


def gradient(step: TrainStep, batches: Sequence[Batch]) -> Gradient:
    """Of one step over these batches, on the CPU; `step` descends plainly."""
    before = {name: value.detach().clone() for name, value in step.model.named_parameters()}
    step(batches, lr=1.0, seed=0)
    return {name: (before[name] - value.detach()).cpu() for name, value in step.model.named_parameters()}


def parts_of(batch: Batch, shares: Sequence[Sequence[int]]) -> list[Batch]:
    """The batch of a classifier in several."""
    return [Batch(batch.images[list(s)], batch.targets[list(s)], batch.indices[list(s)]) for s in shares]


def distance(found: Gradient, expected: Gradient) -> float:
    """The norm of the difference over the norm of what is expected."""
    difference = sum(float((found[name] - value).double().square().sum()) for name, value in expected.items())
    return math.sqrt(difference / sum(float(value.double().square().sum()) for value in expected.values()))
