"""Exponential moving average of the weights, BatchNorm statistics included (paper, section 4.1)."""

import copy

import torch
from torch import nn


class Ema:
    """`model` holds the average: average += (weights - average) * (1 - decay), after every step of the optimiser.

    With `warmup` the decay grows as (1 + t) / (10 + t) up to its value, so that a short run does not end with the
    weights that it began with. The paper has no such thing; its runs are long.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.warmup = warmup

    @torch.no_grad()
    def update(self, model: nn.Module, steps_done: int) -> None:
        """Follow `model` after its optimiser step number `steps_done` (from 1)."""
        decay = min(self.decay, (1 + steps_done) / (10 + steps_done)) if self.warmup else self.decay
        averages, weights = [], []
        for average, weight in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.dtype.is_floating_point:
                averages.append(average)
                weights.append(weight)
            else:
                average.copy_(weight)
        torch._foreach_lerp_(averages, weights, 1.0 - decay)
