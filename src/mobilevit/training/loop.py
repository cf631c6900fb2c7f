"""The loop: epochs of steps, validation after each, checkpoints, the best model kept.

Knows the Task protocol, never which task it is. What happens at (epoch, step) depends on the configuration and on
(seed, epoch, step) alone, so a resumed run goes on exactly as one that never stopped.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, ImageError, TrainingError
from mobilevit.evaluation import Evaluation, evaluate_runner
from mobilevit.formats.torch import TorchRunner
from mobilevit.interrupts import StopRequest
from mobilevit.loading.batch import Batch
from mobilevit.loading.cache import ImageCache
from mobilevit.loading.multiscale import MultiScaleSampler
from mobilevit.spec import Criterion, ModelSpec, ScoreThreshold
from mobilevit.tasks.base import Scores, Task
from mobilevit.tasks.program import Program
from mobilevit.training.callbacks import Callback, StepReport
from mobilevit.training.checkpoint import TrainingProgress, write_checkpoint
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.ema import Ema
from mobilevit.training.model_setup import training_mode
from mobilevit.training.optimizer import LearningRate
from mobilevit.training.runfolder import RunFolder
from mobilevit.training.scalars import ScalarLog
from mobilevit.training.step import TrainStep
from mobilevit.weights import model_file


@dataclass(frozen=True)
class Parts:
    """The parts of a run, assembled by `training.run`."""

    config: TrainConfig
    task: Task
    dataset: Dataset
    spec: ModelSpec
    model: nn.Module
    ema: Ema | None
    optimizer: torch.optim.Optimizer
    step: TrainStep
    sampler: MultiScaleSampler
    loader: DataLoader[Batch]
    learning_rate: LearningRate
    group: Group
    device: torch.device
    num_workers: int
    val_cache: ImageCache | None = None  # the images of val as they are evaluated; None: from their files

    @property
    def evaluated(self) -> nn.Module:
        """The model whose score counts: the averaged one where there is an average."""
        return self.model if self.ema is None else self.ema.model


class Loop:
    """One attempt of a run, from `progress` on."""

    def __init__(
        self,
        parts: Parts,
        folder: RunFolder,
        progress: TrainingProgress,
        callback: Callback,
        stop: StopRequest,
        log: ScalarLog,
    ) -> None:
        self.parts, self.folder, self.progress = parts, folder, progress
        self.callback, self.stop, self.log = callback, stop, log
        self.checkpoint_time = time.monotonic()
        self.steps = 0  # of the present epoch

    def run(self) -> bool:
        """Train until the last epoch, or until `patience` measured epochs bring no improvement.

        False if a signal stopped it; then a checkpoint is written, and also if an image or target cannot be read, which
        raises ImageError or DataError. TrainingError if the loss is not finite.
        """
        try:
            while self.progress.epoch < self.parts.config.epochs and not self._out_of_patience():
                if not self._train_epoch():
                    return False
                self._save_checkpoint()  # before anything of the validation can fail
                self._finish_epoch(self._validate())
        except (ImageError, DataError):
            self._save_checkpoint()
            raise
        return True

    def _out_of_patience(self) -> bool:
        return 0 < self.parts.config.patience <= self.progress.worse_epochs

    def _train_epoch(self) -> bool:
        """The steps of an epoch that are left; False where a signal stopped them."""
        parts, progress = self.parts, self.progress
        training_mode(parts.model, parts.config)
        parts.sampler.set_epoch(progress.epoch, progress.step)
        self.steps = progress.step + len(parts.sampler)
        started = time.monotonic()
        for batches in _grouped(parts.loader, parts.config.optim.grad_accum_steps):
            stopping = self._take_step(batches)
            progress.seconds += time.monotonic() - started
            started = time.monotonic()
            if stopping:
                self._save_checkpoint()
                return False
            if time.monotonic() - self.checkpoint_time > 60 * parts.config.checkpoint_minutes:
                self._save_checkpoint()
        return True

    def _take_step(self, batches: list[Batch]) -> bool:
        """Train on some batches; whether the run was asked to stop."""
        parts, progress = self.parts, self.progress
        accumulate = parts.config.optim.grad_accum_steps
        lr = parts.learning_rate.at(progress.epoch, progress.step // accumulate)
        seed = step_seed(parts.config.seed, progress.epoch, progress.step, parts.group.rank)
        try:
            outcome = parts.step(batches, lr=lr, seed=seed, stop=self.stop.requested)
        except TrainingError as error:
            raise TrainingError(self._advice(str(error), lr)) from error
        progress.step += len(batches)
        progress.updates += 1
        progress.images += outcome.images
        progress.loss_total += outcome.loss_total
        progress.loss_count += outcome.loss_count
        if parts.ema is not None:
            parts.ema.update(progress.updates)
        self._report_step(batches[-1].images.shape[-1], lr)
        return outcome.stop

    def _advice(self, problem: str, lr: float) -> str:
        progress = self.progress
        kept = "the last good model is best.safetensors" if progress.best_epoch >= 0 else "no epoch is finished yet"
        return (
            f"{problem} in epoch {progress.epoch + 1}, step {progress.step + 1}, at a learning rate of {lr:.2g}. "
            f"The model was not updated with it; {kept}. Try a lower `lr` (`mobilevit find-lr` shows which), "
            "more `warmup_steps`, a smaller `grad_clip_norm`, or `precision=fp32`."
        )

    def _report_step(self, image_size: int, lr: float) -> None:
        progress, parts = self.progress, self.parts
        mean = progress.loss_total / max(progress.loss_count, 1e-12)
        epochs = parts.config.epochs
        self.callback.step(StepReport(progress.epoch, epochs, progress.step - 1, self.steps, image_size, mean, lr))
        self.log.write(progress.updates, {"step/loss": mean, "step/lr": lr, "step/image_size": image_size})

    def _validate(self) -> Evaluation:
        """The evaluated model on the whole validation split, each process taking its share."""
        parts = self.parts
        parts.group.copy_from_leader(parts.evaluated)
        parts.evaluated.eval()
        evaluation = evaluate_runner(
            TorchRunner(Program(parts.evaluated, parts.spec, parts.task), parts.spec, parts.device),
            parts.task,
            parts.dataset,
            "val",
            batch_size=parts.config.scale.batch_size,
            num_workers=parts.num_workers,
            rank=parts.group.rank,
            world_size=parts.group.world_size,
            cache=parts.val_cache,
            progress=self.callback.validating,
        )
        first, *others = parts.group.gather(evaluation.metric)
        for other in others:
            first.merge(other)
        return replace(evaluation, metric=first, images=len(parts.dataset.splits["val"]))

    def _finish_epoch(self, evaluation: Evaluation) -> None:
        """Keep what the epoch brought: its row, the last model, the best one, a checkpoint."""
        progress, parts = self.progress, self.parts
        self._compare(evaluation.scores.primary[1])
        row = self._row(evaluation.scores)
        progress.history.append(row)
        if parts.group.leads:
            self.folder.write_metrics(progress.history)
            self._save_models(evaluation)
        self.log.write(progress.updates, row)
        self.callback.epoch(row)
        progress.epoch, progress.step = progress.epoch + 1, 0
        progress.images, progress.loss_total, progress.loss_count = 0, 0.0, 0.0
        self._save_checkpoint()

    def _compare(self, score: float | None) -> None:
        """Whether this epoch is the best; one that could not be measured is neither better nor worse."""
        progress = self.progress
        if score is None:
            return
        if progress.best_score is None or score > progress.best_score:
            progress.best_score, progress.best_epoch, progress.worse_epochs = score, progress.epoch, 0
        else:
            progress.worse_epochs += 1

    def _row(self, scores: Scores) -> dict[str, float | None]:
        progress, parts = self.progress, self.parts
        before = (progress.history[-1]["seconds"] if progress.history else None) or 0.0
        schedule = parts.sampler.schedule
        steps = schedule.steps(progress.epoch)
        sides_px = [schedule.step(progress.epoch, step).image_size for step in range(steps)]
        return {  # the columns of metrics.csv: docs/stability.md
            "epoch": progress.epoch + 1,
            "updates": progress.updates,
            "image_size": round(sum(sides_px) / len(sides_px), 1),
            "lr": parts.learning_rate.at(progress.epoch, (steps - 1) // parts.config.optim.grad_accum_steps),
            "train_loss": progress.loss_total / max(progress.loss_count, 1e-12),
            **{f"val_{name}": value for name, value in scores.scalars().items()},
            "images": progress.images,
            "seconds": round(progress.seconds, 2),
            "images_per_second": round(progress.images / max(progress.seconds - before, 1e-9), 1),
        }

    def _threshold(self, evaluation: Evaluation) -> ScoreThreshold | None:
        """Above which score predictions tell an object: the best F1 of this very model."""
        threshold = evaluation.threshold(Criterion("f1"))
        learned = "val" in self.parts.config.train_on
        return (
            replace(threshold, note="the model has learned from these images") if threshold and learned else threshold
        )

    def _save_models(self, evaluation: Evaluation) -> None:
        parts = self.parts
        name, value = evaluation.scores.primary
        said = f"{name} not measured" if value is None else f"{name} {value:.4f}"
        score = f"{said} on val, epoch {self.progress.epoch + 1}"
        provenance = replace(parts.spec.provenance, score=score)
        spec = replace(parts.spec, score_threshold=self._threshold(evaluation), provenance=provenance)
        paths = [self.folder.last]
        if self.progress.best_epoch == self.progress.epoch:
            paths.append(self.folder.best)
        for path in paths:
            model_file.save(path, parts.evaluated.state_dict(), spec)

    def _save_checkpoint(self) -> None:
        parts = self.parts
        self.progress.grad_scaler = parts.step.scaler.state_dict()
        if parts.group.leads:
            write_checkpoint(self.folder.checkpoint, self.progress, parts.spec, parts.model, parts.ema, parts.optimizer)
        self.checkpoint_time = time.monotonic()


def step_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    """Decides the dropout and batch augmentation of one step in one process."""
    return int(np.random.SeedSequence((seed, epoch, step, rank)).generate_state(1)[0])


def _grouped(batches: Any, size: int) -> Iterator[list[Batch]]:
    """Lists of `size` batches; the last one may be shorter."""
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group
