"""The learning-rate range test (Smith, 2017): train while the rate grows, and find where the loss falls fastest."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from mobilevit.errors import TrainingError, UsageError
from mobilevit.figures import Figure
from mobilevit.loading.batch import Batch
from mobilevit.reporting.plots import lr_curve
from mobilevit.training.callbacks import Callback, Quiet, StepReport
from mobilevit.training.config import TrainConfig, checked
from mobilevit.training.distributed import Group
from mobilevit.training.loop import Parts, step_seed
from mobilevit.training.model_setup import training_mode
from mobilevit.training.run import prepare

SMOOTHING = 0.9  # of the running mean of the loss
EXPLODED = 3.0  # the test ends when the smoothed loss is so many times its best
CLEAR = 2.0  # a fall is clear that is so many times the scatter of the batches; noise alone falls so far 1 time in 100


@dataclass(frozen=True)
class LrSearch:
    """Range of the learning rate test."""

    lr_low: float = 1e-6  # first learning rate
    lr_high: float = 1.0  # last learning rate
    steps: int = 100  # training steps, with geometrically increasing learning rates


@dataclass(frozen=True)
class LrCurve:
    """The result of the test: a smoothed loss for each learning rate, and the suggested rate, if any."""

    lrs: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def suggestion(self) -> float | None:
        """The learning rate at which the smoothed loss falls fastest; None if it never falls clearly.

        Clearly means: from its first tenth to its lowest, by twice the median distance of a batch's loss from the mean.
        """
        begun = len(self.losses) // 10  # before that the mean is of few batches, and moves with each
        lowest = min(range(begun, len(self.losses)), key=self.losses.__getitem__)
        slopes = [after - before for before, after in pairwise(self.losses)]
        scatter = median(map(abs, slopes[begun:])) / (1 - SMOOTHING)
        fall = median(self.losses[: begun + 1]) - self.losses[lowest]
        if lowest == begun or fall < CLEAR * scatter:
            return None
        return self.lrs[min(range(begun, lowest), key=slopes.__getitem__)]

    def plot(self) -> Figure:
        return lr_curve(self.lrs, self.losses, self.suggestion)


def find_lr(config: TrainConfig, search: LrSearch | None = None, callback: Callback | None = None) -> LrCurve:
    """Run the learning rate test with a run's own data, model and sizes, in one process; nothing is written."""
    config = checked(config)
    search = search or LrSearch()
    if not 0 < search.lr_low < search.lr_high or search.steps < 10:
        raise UsageError("expected 0 < `lr_low` < `lr_high`, and `steps` of at least 10")
    callback = callback or Quiet()
    optim = replace(config.optim, lr=search.lr_low, lr_start=0.0, lr_end=0.0)
    parts = prepare(replace(config, optim=optim), callback, Group())
    training_mode(parts.model, parts.config)
    lrs: list[float] = []
    losses: list[float] = []
    mean = 0.0
    batches = _endless(parts)
    for step in range(search.steps):
        lr = search.lr_low * (search.lr_high / search.lr_low) ** (step / (search.steps - 1))
        try:
            taken = [next(batches) for _ in range(optim.grad_accum_steps)]
            outcome = parts.step(taken, lr=lr, seed=step_seed(config.seed, 0, step, 0))
        except TrainingError:
            break  # the loss is no number any more: the end of the range
        mean = SMOOTHING * mean + (1 - SMOOTHING) * outcome.loss_total / outcome.loss_count
        lrs.append(lr)
        losses.append(mean / (1 - SMOOTHING ** (step + 1)))
        callback.step(StepReport(0, 1, step, search.steps, taken[-1].images.shape[-1], losses[-1], lr))
        if losses[-1] > EXPLODED * min(losses):
            break
    if len(lrs) < 3 or not math.isfinite(min(losses)):
        raise TrainingError(
            f"the loss is not finite from the start, at a learning rate of {search.lr_low:g}: use a smaller `lr_low`"
        )
    return LrCurve(tuple(lrs), tuple(losses))


def _endless(parts: Parts) -> Iterator[Batch]:
    epoch = 0
    while True:
        parts.sampler.set_epoch(epoch)
        yield from parts.loader
        epoch += 1
