"""Which images calibrate, which choose, and which judge what was chosen: none of them twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.errors import DataError, check_ranges
from mobilevit.evaluation import in_order_of, samples_of
from mobilevit.loading.loader import ImageDataset, eval_loader
from mobilevit.spec import ClassLabel, Preprocessing
from mobilevit.tasks.base import Task

CALIBRATING, CHOOSING, JUDGING = "calibrating", "choosing", "judging"  # names of splits
LARGEST_SHARE = 0.25  # of the training images that calibrate, where there are few
BATCH = 32  # images that are decoded at a time


@dataclass(frozen=True)
class Division:
    """How many images do what."""

    calibration_images: int = 128  # training images that ranges are taken from
    choosing_images: int = 1000  # other training images, which the choices are scored on
    split: str = "val"  # of the data to evaluate on: what is kept is scored there, once
    seed: int = 0  # decides which training images those are
    reading: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        """UsageError for a number out of range."""
        endless = float("inf")
        check_ranges(self, calibration_images=(1, endless), choosing_images=(1, endless), seed=(0, endless))


def divided(task: Task, classes: Sequence[ClassLabel], learned: Path, unseen: Path, division: Division) -> Dataset:
    """The three splits of two datasets, with the classes of the model: training images of `learned`, chosen by
    seed, and a split of `unseen`.

    DataError where there are too few images, or the same ones on both sides.
    """
    training = in_order_of(classes, task.read(learned, division.reading), task)
    held_out = in_order_of(classes, task.read(unseen, division.reading), task)
    samples, judging = samples_of(training, "train"), samples_of(held_out, division.split)
    _require_apart(samples, judging)
    if len(samples) < 2:
        raise DataError(f"{learned} has one image to train on: calibrating and choosing need two at least")
    order = np.random.default_rng(division.seed).permutation(len(samples))
    first = max(1, min(division.calibration_images, int(len(samples) * LARGEST_SHARE)))
    calibrating, choosing = order[:first], order[first : first + division.choosing_images]
    splits = {
        name: tuple(samples[i] for i in sorted(chosen))
        for name, chosen in {CALIBRATING: calibrating, CHOOSING: choosing}.items()
    }
    return replace(training, splits={**splits, JUDGING: judging})


def _require_apart(learned: Sequence[Sample], judging: Sequence[Sample]) -> None:
    known = {sample.path.resolve() for sample in learned}
    both = [sample.path for sample in judging if sample.path.resolve() in known]
    if both:
        raise DataError(
            f"{len(both)} of the images to evaluate on are training images of the data to calibrate on, {both[0]} "
            "among them: choose another --split, or other data"
        )


def calibration(data: Dataset, task: Task, preprocessing: Preprocessing) -> Tensor:
    """(N, 3, S, S) uint8 RGB: the images to calibrate on, as the model sees them."""
    images = ImageDataset(data.splits[CALIBRATING], task, seed=0, augment=None, preprocessing=preprocessing)
    return torch.cat([batch.images for batch in eval_loader(images, BATCH, num_workers=0)])
