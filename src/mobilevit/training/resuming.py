"""What may change when a run is resumed (the dataset location, the number of epochs) and what may not."""

import hashlib
import os
import shlex
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

from mobilevit.datasets.finding import listed
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import TrainingError, UsageError
from mobilevit.spec import ModelSpec
from mobilevit.training.checkpoint import TrainingProgress
from mobilevit.training.config import TrainConfig


def changed(config: TrainConfig, data: str | Path | None, epochs: int | None) -> TrainConfig:
    """The configuration with a new dataset location and a new number of epochs, if given.

    TrainingError if the dataset does not exist at its location.
    """
    config = replace(
        config,
        data=config.data if data is None else Path(data),
        epochs=config.epochs if epochs is None else epochs,
    )
    if not config.data.exists():
        seen_from = "" if config.data.is_absolute() else f", as seen from {Path.cwd()}"
        was_there = "the run's dataset does not exist any more" if data is None else "this folder does not exist"
        raise TrainingError(f"{config.data}: {was_there}{seen_from}. Give its new location as `data`")
    return config


def started(dataset: Dataset) -> TrainingProgress:
    """Where a run stands before its first step on that dataset."""
    return TrainingProgress(len(dataset.splits["train"]), _names(dataset), shlex.join(["mobilevit", *sys.argv[1:]]))


def require_same(dataset: Dataset, progress: TrainingProgress, spec: ModelSpec) -> None:
    """TrainingError if the dataset is not the one the run was trained on, by file names and classes.

    Every step takes its images by their number, so one file more or less would change them all.
    """
    now, names = started(dataset), [label.name for label in dataset.classes]
    if now.samples != progress.samples:
        problem = f"{now.samples:,} training images now, {progress.samples:,} when the run began"
    elif now.names != progress.names:
        problem = "its training images have different names than when the run began"
    elif dataset.classes != spec.classes:
        known = listed(label.name for label in spec.classes)
        problem = f"its classes are {listed(names)} now, and were {known} when the run began"
    else:
        return
    raise TrainingError(
        f"the dataset has changed: {problem}. Restore it, or start a new run with last.safetensors as `weights`."
    )


def _names(dataset: Dataset) -> str:
    """A hash over the names of the training images below the root, in their order; where the root lies is left out."""
    digest, root = hashlib.blake2b(digest_size=16), os.path.join(dataset.root, "")  # noqa: PTH118 (as in splitting)
    for sample in dataset.splits["train"]:
        path = os.fspath(sample.path)
        inside = path.removeprefix(root) if path.startswith(root) else sample.path.name
        normal = unicodedata.normalize("NFC", inside.replace(os.sep, "/"))
        digest.update(normal.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def extend(progress: TrainingProgress, epochs: int | None) -> None:
    """Extend a run to `epochs` in total, if given; UsageError if more than these are done.

    Requested epochs are trained even after early stopping: its patience starts again.
    """
    if epochs is None:
        return
    if epochs < progress.epoch:
        raise UsageError(f"`epochs` is {epochs}, but {progress.epoch} epochs are done: give more, or leave it out")
    if epochs > progress.epoch:
        progress.worse_epochs = 0


def finished_because(progress: TrainingProgress, config: TrainConfig) -> str | None:
    """Why the run is finished; None if it is not."""
    if progress.epoch >= config.epochs:
        return f"all {config.epochs} epochs are done"
    if 0 < config.patience <= progress.worse_epochs:
        return f"it stopped early, after {progress.worse_epochs} epochs without an improvement over epoch " + str(
            progress.best_epoch + 1
        )
    return None
