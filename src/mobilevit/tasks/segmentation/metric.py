"""Gathers what the scores of a segmenter need: each image's confusion matrix, and the maps of a few chosen ones.

Every image counts at its own size: the map grows to the mask by nearest. What is computed does not depend on the
order of the images, on how they were divided between processes, or on whether two of these saw the same one.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mobilevit.datasets.mask_target import IGNORED, Classes
from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import Metric, Outputs, Places
from mobilevit.tasks.segmentation import maps
from mobilevit.tasks.segmentation.scores import Counts, SegmentationScores

KEPT = 32  # images whose maps are kept, of the worst and of the examples each: 16 MB at 512 px


class SegmentationMetric:
    """Takes "class_map" (B, h, w) and the whole masks, (H, W) uint8 each."""

    def __init__(self, classes: Sequence[ClassLabel]) -> None:
        self.classes = tuple(classes)
        self._parts: dict[int, Part] = {}
        self._worst: list[Entry] = []
        self._examples: list[Entry] = []

    def update(self, outputs: Outputs, targets: Sequence[Classes], indices: Places) -> None:
        predicted: Classes = outputs["class_map"].astype(np.uint8)
        for coarse, truth, index in zip(predicted, targets, indices.tolist(), strict=True):
            fine = maps.resized(coarse, (truth.shape[1], truth.shape[0]))
            confusion = confusion_of(fine, truth, len(self.classes))
            self._parts[index] = Part.of(confusion)
            _keep(self._examples, Entry(_scatter(index), index, coarse))
            iou = mean_iou(confusion)
            if iou < 1:
                _keep(self._worst, Entry(iou, index, coarse))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, SegmentationMetric)
        assert other.classes == self.classes
        self._parts |= other._parts
        for mine, theirs in ((self._worst, other._worst), (self._examples, other._examples)):
            for entry in theirs:
                _keep(mine, entry)

    def compute(self) -> SegmentationScores:
        return self._scores([*self._parts.values()])

    def resampled(self, places: Places) -> SegmentationScores:
        indices = sorted(self._parts)
        return self._scores([self._parts[indices[place]] for place in places.tolist()])

    def _scores(self, parts: Sequence["Part"]) -> SegmentationScores:
        confusion: Counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        for part in parts:
            confusion.flat[part.places] += part.pixels
        return SegmentationScores(self.classes, confusion, len(parts))

    def worst(self, count: int) -> list[tuple[int, Outputs]]:
        """Those of the lowest mean IoU first, none that is perfect; at most KEPT."""
        return [entry.sample for entry in sorted(self._worst, reverse=True)][:count]

    def examples(self, count: int) -> list[tuple[int, Outputs]]:
        """A choice by the hash of the index; at most KEPT."""
        return [entry.sample for entry in sorted(self._examples, reverse=True)][:count]


class Part(NamedTuple):
    """What one image adds to the confusion matrix: few classes are in an image, and most of its matrix is zero."""

    places: npt.NDArray[np.int32]  # in the flat matrix
    pixels: npt.NDArray[np.int32]

    @classmethod
    def of(cls, confusion: Counts) -> "Part":
        places = np.flatnonzero(confusion)
        return cls(places.astype(np.int32), confusion.flat[places].astype(np.int32))


def confusion_of(predicted: Classes, truth: Classes, num_classes: int) -> Counts:
    """(K, K) pixels, rows the true class, columns the prediction, those that are IGNORED left out."""
    valid = truth != IGNORED
    flat = truth[valid].astype(np.int64) * num_classes + predicted[valid]
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes).astype(np.int64)


def mean_iou(confusion: Counts) -> float:
    """Over the classes that are there or were predicted; 1 where there are none."""
    hits: npt.NDArray[np.int64] = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    here = union > 0
    return float((hits[here] / union[here]).mean()) if here.any() else 1.0


def _scatter(index: int) -> float:
    """A fixed number for each index, spread evenly over 0-1 (multiples of the golden ratio)."""
    return index * 0.6180339887498949 % 1.0


class Entry:
    """An image kept with its map. The larger `rank`, the sooner it makes room for another."""

    __slots__ = ("classes", "index", "rank")

    def __init__(self, rank: float, index: int, classes: Classes) -> None:
        self.rank, self.index, self.classes = rank, index, classes

    def __lt__(self, other: "Entry") -> bool:
        """Largest rank first, as heapq has its smallest; ties by the index."""
        return (self.rank, self.index) > (other.rank, other.index)

    @property
    def sample(self) -> tuple[int, Outputs]:
        return self.index, {"class_map": self.classes[None]}


def _keep(heap: list[Entry], entry: Entry) -> None:
    """Add an entry, and of more than KEPT let the one of the largest rank go."""
    if len(heap) < KEPT:
        entry.classes = entry.classes.copy()  # a row would keep its whole batch in memory
        heapq.heappush(heap, entry)
    elif heap[0] < entry:
        entry.classes = entry.classes.copy()
        heapq.heapreplace(heap, entry)
