"""The common structure into which every layout of masks is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets.finding import Finding
from mobilevit.datasets.mask_target import Mask
from mobilevit.spec import ClassLabel

Parts = Mapping[str | None, Mapping[Path, Mask]]  # by split, and under None what is still to be split; by image


@dataclass(frozen=True)
class Stated:
    """A dataset as its files state it, before it is split."""

    classes: tuple[ClassLabel, ...]
    parts: Parts
    notes: tuple[Finding, ...]
    files: tuple[Path, ...]  # beside images and masks: lists, names of classes, annotations
