"""AdamW as the paper uses it, and the learning rate of every step."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import nn

from mobilevit.training.config import OptimizerConfig

LONGEST_WARMUP_STEPS = 3000  # the paper's
MOST_OF_THE_FIRST = 0.1  # share of the first weights in the average at the end of a run
WARMUP_SHARE = 0.05  # of all steps, where the run does not say


def adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW over the trainable parameters, with one weight decay for all (official code: norms and biases too).

    Each group has the factor of its learning rate as "lr_factor": 1 in the backbone, `head_lr` elsewhere.
    """
    groups = [
        {"params": [p for name, p in model.named_parameters() if p.requires_grad and in_backbone(name) == is_backbone]}
        | {"lr_factor": 1.0 if is_backbone else config.head_lr}
        for is_backbone in (True, False)
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=config.weight_decay,
        # All tensors in one go: few launches on a GPU. On a CPU, of one thread on a loaded machine, a step took 17 ms
        # instead of 39 for mobilevit_xxs, and 39 instead of 129 for mobilevit_s.
        fused=True,
    )


def in_backbone(name: str) -> bool:
    """Whether the parameter of that name belongs to the model's backbone."""
    return name.startswith("backbone.")


class LearningRate:
    """Linear warm-up to `lr`, then a cosine to `lr_end`, by the step: a pure function of (epoch, step)."""

    def __init__(self, config: OptimizerConfig, steps_of_epochs: Sequence[int]) -> None:
        self.config = config
        self.first_step = [0, *accumulate(steps_of_epochs)]
        self.total = self.first_step[-1]
        share = min(LONGEST_WARMUP_STEPS, math.ceil(WARMUP_SHARE * self.total))
        self.warmup = share if config.warmup_steps is None else config.warmup_steps

    def too_short(self) -> Iterator[str]:
        """Warnings about too few steps: a recipe for a long run with few epochs, or few images."""
        if self.warmup > self.total:
            highest = self.at(len(self.first_step) - 1, 0)
            what = f"the warm-up of {self.warmup:,} steps is longer than the run of {self.total:,}"
            yield f"{what}: the rate only reaches {highest:.2g} of {self.config.lr:.2g}; use fewer `warmup_steps`"
        first_weights = self.config.ema_decay**self.total
        if not self.config.ema_warmup and first_weights > MOST_OF_THE_FIRST:
            what = f"after {self.total:,} steps the averaged weights are still {first_weights:.0%} initial weights"
            yield f"{what}, and they are evaluated: use `ema_warmup`, or a smaller `ema_decay`"

    def at(self, epoch: int, step: int) -> float:
        done = self.first_step[epoch] + step
        peak, start, end = self.config.lr, self.config.lr_start, self.config.lr_end
        if done < self.warmup:
            return start + (peak - start) * done / self.warmup
        progress = (done - self.warmup) / max(1, self.total - self.warmup)
        return end + 0.5 * (peak - end) * (1 + math.cos(math.pi * progress))
