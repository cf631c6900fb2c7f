"""What may change between two attempts of a run, and what may not: the place of its dataset, the number of epochs."""

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
    """The configuration with another place of the dataset and another number of epochs, where they are given.

    TrainingError where the dataset is not where the run had it.
    """
    config = replace(
        config,
        data=config.data if data is None else Path(data),
        epochs=config.epochs if epochs is None else epochs,
    )
    if not config.data.exists():
        seen_from = "" if config.data.is_absolute() else f", as seen from {Path.cwd()}"
        was_there = "the run's dataset is not there any more" if data is None else "there is no such folder"
        raise TrainingError(f"{config.data}: {was_there}{seen_from}. Give the place where it lies now as --data")
    return config


def started(dataset: Dataset) -> TrainingProgress:
    """Where a run stands before its first step on that dataset."""
    return TrainingProgress(len(dataset.splits["train"]), _names(dataset), shlex.join(["mobilevit", *sys.argv[1:]]))


def require_same(dataset: Dataset, progress: TrainingProgress, spec: ModelSpec) -> None:
    """TrainingError where the dataset is not the one that the run has been trained on: files by name, and classes.

    Every step takes its images by their number, so one file more or less would change them all.
    """
    now, names = started(dataset), [label.name for label in dataset.classes]
    if now.samples != progress.samples:
        problem = f"{now.samples:,} training images now, {progress.samples:,} when the run began"
    elif now.names != progress.names:
        problem = "its training images have other names than when the run began"
    elif dataset.classes != spec.classes:
        known = listed(label.name for label in spec.classes)
        problem = f"its classes are {listed(names)} now, and were {known} when the run began"
    else:
        return
    raise TrainingError(
        f"the dataset has changed: {problem}. Restore it, or start a new run from last.safetensors with --weights."
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
    """Let a run go on to `epochs` in all, where a number is given; UsageError where more than these are done.

    Whoever asks for epochs wants them, also those that early stopping had left out: its patience begins anew.
    """
    if epochs is None:
        return
    if epochs < progress.epoch:
        raise UsageError(f"--epochs is {epochs}, and {progress.epoch} epochs are done: give more, or leave it out")
    if epochs > progress.epoch:
        progress.worse_epochs = 0


def finished_because(progress: TrainingProgress, config: TrainConfig) -> str | None:
    """Why there is nothing left to train; None where there is."""
    if progress.epoch >= config.epochs:
        return f"all {config.epochs} epochs are done"
    if 0 < config.patience <= progress.worse_epochs:
        return f"it stopped early, after {progress.worse_epochs} epochs that were no better than epoch " + str(
            progress.best_epoch + 1
        )
    return None
