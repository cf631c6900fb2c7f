"""One optimizer step: forward and backward over its batches, accumulated gradient, one update.

Knows the task's loss and nothing of epochs, files or schedules.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mobilevit.errors import TrainingError
from mobilevit.loading.augment import BatchAugment
from mobilevit.loading.batch import Batch, prepare
from mobilevit.spec import ChannelOrder
from mobilevit.tasks.base import LossOptions, Task
from mobilevit.training.config import OptimizerConfig
from mobilevit.training.distributed import Group

FIRST_GRAD_SCALE = 65536.0  # torch's own


@dataclass(frozen=True)
class StepOutcome:
    """Over all batches and all processes of one step."""

    loss_total: float
    loss_count: float
    images: int
    stop: bool  # some process was asked to stop


class TrainStep:
    """Takes the batches of one step to an updated model.

    The loss is summed over batches and processes, and so is its count; the gradient is divided once, before the
    update. So any split of a batch gives the gradient of the whole (BatchNorm in training mode apart: it sees a
    batch at a time, by design).
    """

    def __init__(
        self,
        model: nn.Module,
        forward: nn.Module,
        task: Task,
        optimizer: torch.optim.Optimizer,
        config: OptimizerConfig,
        *,
        channel_order: ChannelOrder,
        nominal_count: int,
        amp_dtype: torch.dtype | None,
        group: Group,
        class_weights: Tensor | None = None,
        augment: BatchAugment | None = None,
    ) -> None:
        """`forward` is `model`, or it wrapped for several processes or compiled; `nominal_count` keeps the
        numbers of the backward pass in the range of a mean."""
        self.model, self.forward, self.task, self.optimizer, self.config = model, forward, task, optimizer, config
        self.channel_order, self.nominal_count, self.amp_dtype = channel_order, nominal_count, amp_dtype
        self.group, self.augment = group, augment
        smoothing = task.label_smoothing if config.label_smoothing is None else config.label_smoothing
        self.loss_options = LossOptions(smoothing, class_weights, config.anchors_per_box)
        self.device = next(model.parameters()).device
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        enabled = amp_dtype == torch.float16  # without fp16 nothing is scaled
        self.scaler = torch.amp.GradScaler(self.device.type, init_scale=FIRST_GRAD_SCALE, enabled=enabled)

    def __call__(self, batches: Sequence[Batch], *, lr: float, seed: int, stop: bool = False) -> StepOutcome:
        """`seed` decides every random number of the step. TrainingError where the loss or its gradient is not
        finite: then the model is as it was before."""
        torch.manual_seed(seed)
        sums = torch.zeros(4, device=self.device)  # loss, count, images, processes that were asked to stop
        for batch in batches:
            with self._gradients_stay_here(unless=batch is batches[-1]):
                sums[:2] += self._backward(batch)
        sums[2] = sum(len(batch.indices) for batch in batches)
        sums[3] = float(stop)
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = nn.utils.get_total_norm(gradients)[None]
        # The one place of a step that waits for the device, for all figures at once. It cannot come later: nothing may
        # be updated with a loss that is not finite.
        total, count, images, stops, norm = torch.cat([self.group.sum(sums), norms]).tolist()
        factor = self.group.world_size * self.nominal_count / max(count, 1e-12)
        self._must_be_finite(total, norm * factor)
        torch._foreach_mul_(gradients, factor * self._clipping(norm * factor))
        self._update(lr)
        return StepOutcome(total, count, int(images), stops > 0)

    def _must_be_finite(self, total: float, norm: float) -> None:
        """TrainingError, and no gradient left, where the loss or its gradient is not finite."""
        problem = None
        if not math.isfinite(total):
            problem = f"the loss is not finite ({total})"
        elif not math.isfinite(norm) and not self.scaler.is_enabled():  # the scaler of fp16 leaves such steps out
            problem = f"the gradient is not finite ({norm})"
        if problem:
            self.optimizer.zero_grad(set_to_none=True)
            raise TrainingError(problem)

    def _clipping(self, norm: float) -> float:
        """What a gradient of that norm is to be multiplied by."""
        return min(1.0, self.config.grad_clip_norm / (norm + 1e-6)) if self.config.grad_clip_norm else 1.0

    def _backward(self, batch: Batch) -> Tensor:
        """Add the gradient of one batch; its loss and count, (2,)."""
        images = prepare(batch.images.to(self.device, non_blocking=True), "rgb")
        targets = batch.targets.to(self.device, non_blocking=True)
        if self.augment is not None:
            images, targets = self.augment(images, targets)
        if self.channel_order == "bgr":
            images = images.flip(1)
        with torch.autocast(self.device.type, self.amp_dtype, enabled=self.amp_dtype is not None):
            raw = self.forward(images)
        loss = self.task.loss(raw, targets, self.loss_options)
        self.scaler.scale(loss.total / self.nominal_count).backward()  # type: ignore[no-untyped-call]
        return torch.stack([loss.total.detach(), loss.count.detach()]).float()

    def _gradients_stay_here(self, *, unless: bool) -> AbstractContextManager[Any]:
        """Processes exchange gradients in the last backward pass of a step only."""
        no_sync = getattr(self.forward, "no_sync", nullcontext)  # DistributedDataParallel has it, compiled or not
        return nullcontext() if unless else no_sync()

    def _update(self, lr: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_factor"]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
