"""Samples and datasets, before and after decoding. Every task fills them with its own targets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mobilevit.datasets.finding import Finding
from mobilevit.spec import ClassLabel


@dataclass(frozen=True)
class Sample:
    """An image on disk and its target: a class index, boxes, or the path of a mask."""

    path: Path
    target: Any


@dataclass(frozen=True)
class Dataset:
    """A dataset as its reader found it. `splits` has "train" and "val", and "test" if there is one."""

    root: Path
    task: str
    classes: tuple[ClassLabel, ...]
    splits: Mapping[str, tuple[Sample, ...]]
    notes: tuple[Finding, ...] = ()  # what the reader found and mended
    files: tuple[Path, ...] = ()  # that the reader used beside images and masks: annotations, lists, names of classes


@dataclass(frozen=True, slots=True)
class Key:
    """A sampler's request to the loader: everything random about a sample follows from it and the seed."""

    index: int
    epoch: int
    image_size: int


@dataclass(frozen=True, slots=True)
class Item:
    """One transformed sample: (3, H, W) uint8 RGB, the target as the task sees it, and its index in the split."""

    image: Tensor
    target: Any
    index: int


@dataclass(frozen=True, slots=True)
class Batch:
    """(B, 3, H, W) uint8 RGB, targets (collated by the task to train on, a list to evaluate), (B,) int64 indices."""

    images: Tensor
    targets: Any
    indices: Tensor

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; the loader asks for it where it is for a GPU."""
        targets = self.targets if isinstance(self.targets, list) else self.targets.pin_memory()
        return replace(self, images=self.images.pin_memory(), targets=targets)
