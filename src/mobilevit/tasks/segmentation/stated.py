"""What a layout of masks states: the shape that every one of them is read into."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilevit.data.finding import Finding
from mobilevit.spec import ClassLabel
from mobilevit.tasks.segmentation.target import Mask

Parts = Mapping[str | None, Mapping[Path, Mask]]  # by split, and under None what is still to be split; by image


@dataclass(frozen=True)
class Stated:
    """A dataset as its files state it, before it is split."""

    classes: tuple[ClassLabel, ...]
    parts: Parts
    notes: tuple[Finding, ...]
    files: tuple[Path, ...]  # beside images and masks: lists, names of classes, annotations
