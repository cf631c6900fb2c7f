"""Exponential moving average of the weights, BatchNorm statistics included (paper, section 4.1)."""

import copy

import torch
from torch import Tensor, nn


class Ema:
    """`model` holds the average: average += (weights - average) * (1 - decay), after every step of the optimizer.

    With `warmup` the decay grows as (1 + t) / (10 + t) up to its value, so that a short run does not end with the
    weights that it began with. The paper has no such thing; its runs are long.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.warmup = warmup
        self._averaged, self._counted = _pairs(self.model, model)

    @torch.no_grad()
    def update(self, steps_done: int) -> None:
        """Follow the model after its optimizer step number `steps_done` (from 1)."""
        decay = min(self.decay, (1 + steps_done) / (10 + steps_done)) if self.warmup else self.decay
        torch._foreach_lerp_(*self._averaged, 1.0 - decay)
        if self._counted[0]:
            torch._foreach_copy_(*self._counted)


Pairs = tuple[list[Tensor], list[Tensor]]


def _pairs(averages: nn.Module, weights: nn.Module) -> tuple[Pairs, Pairs]:
    """The tensors of both that are averaged, and those that count something, in the same order. Collected once: both
    modules keep their tensors, and asking them takes longer than the arithmetic."""
    averaged: Pairs = ([], [])
    counted: Pairs = ([], [])
    for average, weight in zip(averages.state_dict().values(), weights.state_dict().values(), strict=True):
        for tensors, tensor in zip(
            averaged if average.is_floating_point() else counted, (average, weight), strict=True
        ):
            tensors.append(tensor)
    return averaged, counted
