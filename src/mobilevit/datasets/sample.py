"""Samples and datasets, before decoding. Every task fills them with its own targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
