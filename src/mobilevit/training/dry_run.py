"""Dry run: time and memory of a run, measured on a few real steps; nothing is written."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle, islice

import numpy as np

from mobilevit.datasets.finding import counted
from mobilevit.datasets.splitting import evenly
from mobilevit.errors import memory_errors
from mobilevit.loading.batch import Batch, Key
from mobilevit.loading.cache import Plan, in_unit
from mobilevit.loading.loader import ImageDataset, train_loader
from mobilevit.loading.multiscale import Resolution
from mobilevit.loading.workers import auto_workers
from mobilevit.training.batch_search import forget_peak, peak_bytes
from mobilevit.training.caching import fitting_plans, training_geometry
from mobilevit.training.callbacks import Callback, Quiet, StepReport
from mobilevit.training.config import TrainConfig, checked
from mobilevit.training.distributed import joined
from mobilevit.training.loop import Parts, step_seed
from mobilevit.training.model_setup import training_mode
from mobilevit.training.run import prepare

STEPS = 5  # that are timed, after one that is not: the first one sets up what later ones find


@dataclass(frozen=True)
class DryRun:
    """Measurements of a dry run. Times are in seconds, memory in bytes."""

    model: str
    device: str
    images: int  # to train on
    resolutions: tuple[Resolution, ...]  # size and batch of each kind of step
    epochs: int
    steps_per_epoch: int  # the mean over the epochs
    step_seconds: float  # the mean step of one process, its images decoded
    decode_seconds: float  # to decode the images of such a step, in one process
    num_workers: int  # processes that decode while the step runs; with none the times add up
    peak_bytes: int  # of the GPU, or else of this process; 0 where the system does not say
    cache_bytes: int  # of decoded images; 0 without a cache

    @property
    def epoch_seconds(self) -> float:
        """Training time per epoch, without validation."""
        decoding = self.decode_seconds / max(1, self.num_workers)
        step = max(self.step_seconds, decoding) if self.num_workers else self.step_seconds + decoding
        return self.steps_per_epoch * step

    def facts(self) -> dict[str, str]:
        """Name and value of each measurement, for people."""
        sizes = ", ".join(f"{size} px x {batch}" for size, batch in self.resolutions)
        seconds = [timedelta(seconds=round(count * self.epoch_seconds)) for count in (1, self.epochs)]
        owner = "of the GPU" if self.device.startswith("cuda") else "of this process"
        return {
            "model": f"{self.model} on {self.device}",
            "images": f"{self.images:,} for training",
            "sizes": sizes,
            "steps": f"{self.steps_per_epoch:,} per epoch, {counted(self.epochs, 'epoch')}",
            "step time": f"{self.step_seconds:.3f} s, plus {self.decode_seconds:.3f} s of decoding by "
            + (f"{self.num_workers} workers" if self.num_workers else "the same process"),
            "time": f"{seconds[0]} per epoch, {seconds[1]} in total, without validation",
            "memory": f"{in_unit(self.peak_bytes)} {owner} at most" if self.peak_bytes else "unknown on this system",
        } | ({"cache": f"{in_unit(self.cache_bytes)} of decoded images"} if self.cache_bytes else {})


def dry_run(config: TrainConfig, callback: Callback | None = None) -> DryRun:
    """Run a few steps of `train(config)`, including the largest and the smallest image size. Nothing is written.

    MobileViTError as from `train`, OutOfMemoryError if a step or the cache does not fit.
    """
    config = checked(config)
    with joined(config.device) as group:
        callback = callback if callback and group.leads else Quiet()
        parts = prepare(replace(config, num_workers=0), callback, group)
        scale = parts.config.scale
        plans = fitting_plans(replace(config, scale=scale), parts.task, parts.dataset, parts.spec.preprocessing, group)
        with memory_errors(lambda: f"use a `batch_size` below {scale.batch_size} or a smaller `image_size_max`"):
            forget_peak(parts.device)
            decoding, stepping = _timed(parts, config.cache == "memory", callback)
        num_workers = (
            auto_workers(group.local_size, device=parts.device.type)
            if config.num_workers is None
            else config.num_workers
        )
        schedule = parts.sampler.schedule
        return DryRun(
            model=parts.config.model,
            device=str(parts.device),
            images=parts.sampler.num_samples,
            resolutions=schedule.choices,
            epochs=config.epochs,
            steps_per_epoch=round(np.mean([schedule.steps(epoch) for epoch in range(min(config.epochs, EPOCHS))])),
            step_seconds=float(np.mean(stepping)),
            decode_seconds=float(np.mean(decoding)),
            num_workers=num_workers,
            peak_bytes=peak_bytes(parts.device) or _peak_of_process(),
            cache_bytes=sum(plan.bytes for plan in plans.values()),
        )


EPOCHS = 50  # whose steps are counted for the mean


def _timed(parts: Parts, cached: bool, callback: Callback) -> tuple[list[float], list[float]]:
    """Seconds of decoding and of stepping, of each of STEPS."""
    training_mode(parts.model, parts.config)
    decoding: list[float] = []
    stepping: list[float] = []
    batches = _batches(parts, cached)
    for place in range(STEPS + 1):
        started = time.perf_counter()
        batch = next(batches)
        decoded = time.perf_counter()
        seed = step_seed(parts.config.seed, 0, place, parts.group.rank)
        outcome = parts.step([batch], lr=parts.config.optim.lr_start, seed=seed)
        if parts.ema is not None:
            parts.ema.update(place + 1)
        decoding.append(decoded - started)
        stepping.append(time.perf_counter() - decoded)
        loss, image_size = outcome.loss_total / max(outcome.loss_count, 1e-12), batch.images.shape[-1]
        callback.step(StepReport(0, 1, place, STEPS + 1, image_size, loss, parts.config.optim.lr_start))
    return decoding[1:], stepping[1:]


def _batches(parts: Parts, cached: bool) -> Iterator[Batch]:
    """One of the largest size, then STEPS from the largest size to the smallest."""
    choices = _spread(parts.sampler.schedule.choices[::-1])
    counts = [min(choice.batch_size, parts.sampler.schedule.samples) for choice in choices]
    samples = evenly(parts.dataset.splits["train"], sum(counts))
    indices = cycle(range(len(samples)))
    keys = [
        [Key(index, 0, choice.image_size) for index in islice(indices, count)]
        for choice, count in zip(choices, counts, strict=True)
    ]
    config, preprocessing = parts.config, parts.spec.preprocessing
    allowed = config.allow_truncated
    plan = Plan.of(samples, training_geometry(config, parts.task), allow_truncated=allowed) if cached else None
    dataset = ImageDataset(
        samples,
        parts.task,
        seed=config.seed,
        augment=config.augment,
        preprocessing=preprocessing,
        cache=None if plan is None else plan.fill(shared=False),
        allow_truncated=allowed,
    )
    return iter(train_loader(dataset, keys, 0, device=parts.device.type))


def _spread(choices: Sequence[Resolution]) -> list[Resolution]:
    places = np.linspace(0, len(choices) - 1, STEPS).round().astype(int).tolist()
    return [choices[0], *(choices[place] for place in places)]


def _peak_of_process() -> int:
    """The most memory that this process has had; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
