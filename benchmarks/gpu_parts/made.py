"""Made-up input: a batch for each task, and a small dataset where none is given."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Sample
from mobilevit.digits import write_digits
from mobilevit.errors import MissingExtraError
from mobilevit.loading.batch import Batch
from mobilevit.models.table import build, for_task
from mobilevit.tasks import TASKS
from mobilevit.tasks.detection.crops import Seen

CLASSES = 3


def model_for(task: str) -> nn.Module:
    """The smallest model for a task, without dropout: the same random weights and statistics of BatchNorm each time."""
    torch.manual_seed(0)
    model = build(for_task("mobilevit_xxs", task), CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    return model


def batch_for(task: str, count: int, image_size: int) -> Batch:
    """Images with classes, boxes or masks: the same each time."""
    rng = np.random.default_rng(0)
    # Soft colors and no noise: the means of noise are all alike, and BatchNorm would blow up what sets them apart.
    colors = torch.from_numpy(rng.uniform(0, 255, (count, 3, 4, 4)))
    images = functional.interpolate(colors, size=(image_size, image_size), mode="bilinear").to(torch.uint8)
    targets: dict[str, Sequence[Any]] = {
        "classification": [index % CLASSES for index in range(count)],
        "detection": [_boxes(rng, 1 + index % 4) for index in range(count)],
        "segmentation": [_mask(rng, image_size) for _ in range(count)],
    }
    return Batch(images, TASKS[task].collate(targets[task]), torch.arange(count))


def _mask(rng: np.random.Generator, image_size: int) -> NDArray[np.uint8]:
    """(H, W): four by four squares."""
    return np.kron(rng.integers(CLASSES, size=(4, 4)), np.ones((image_size // 4, image_size // 4))).astype(np.uint8)


def _boxes(rng: np.random.Generator, count: int) -> Seen:
    low, extent = rng.uniform(0, 0.5, (count, 2)), rng.uniform(0.1, 0.5, (count, 2))
    return Seen(np.concatenate([low, low + extent], axis=1).astype(np.float32), rng.integers(CLASSES, size=count))


def write_dataset(folder: Path) -> str:
    """A dataset of class folders with train and val: the demo's digits, or where these are missing stripes; which."""
    try:
        write_digits(folder)
        return "handwritten digits"
    except MissingExtraError:
        _write_stripes(folder)
        return "stripes"


def _write_stripes(folder: Path) -> None:
    """Gray stripes of 64 px that run in one of four directions, with noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64] / 3
    for split, count in (("train", 60), ("val", 15)):
        for name, slope in {"across": (1, 0), "up": (0, 1), "falling": (0.7, 0.7), "rising": (0.7, -0.7)}.items():
            target = folder / split / name
            target.mkdir(parents=True)
            for index in range(count):
                wave = 128 + 80 * np.sin(slope[0] * rows + slope[1] * columns + rng.uniform(0, 6))
                pixels = (wave + rng.normal(0, 20, (64, 64))).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(target / f"{index}.png")


def write_subset(data: Path, folder: Path, count: int | None) -> Path:
    """The first `count` training images and a quarter as many of val, evenly from all classes; `folder`.

    All of both where `count` is None: then that is `data` itself.
    """
    if count is None:
        return data
    if not folder.exists():
        for split, wanted in (("train", count), ("val", max(2, count // 4))):
            for sample in _even(class_folders.read(data, ReadOptions()).splits[split], wanted):
                target = folder / split / sample.path.parent.name
                target.mkdir(parents=True, exist_ok=True)
                copyfile(sample.path, target / sample.path.name)
    return folder


def _even(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At least one of each class, at most `count` where there are fewer classes."""
    by_class: dict[Any, list[Sample]] = {}
    for sample in samples:
        by_class.setdefault(sample.target, []).append(sample)
    each = max(1, count // len(by_class))
    return [sample for group in by_class.values() for sample in group[:each]]
