"""Gathers what the scores of a classifier need: 25 bytes a sample, and the outputs of a few chosen ones.

Knows nothing of files or images. What it computes does not depend on the order of the samples, on how they were
divided between processes, or on whether two processes saw the same one.
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import Metric, Outputs, Places
from mobilevit.tasks.classification.result import likeliest
from mobilevit.tasks.classification.scores import RECORD, ClassificationScores, Records, score
from mobilevit.tasks.outputs import require_finite

KEPT = 64  # samples whose outputs are kept, of the worst and of the examples each


class ClassificationMetric:
    """Takes "probabilities" (B, K) and class indices."""

    def __init__(self, classes: Sequence[ClassLabel]) -> None:
        self.classes = tuple(classes)
        self._records: list[Records] = []
        self._worst = Shelf()
        self._examples = Shelf()

    def update(self, outputs: Outputs, targets: Sequence[int], indices: Places) -> None:
        probabilities = outputs["probabilities"]
        require_finite(outputs.values())
        records = _records(probabilities, np.asarray(targets, np.int64), indices)
        self._records.append(records)
        for record, row in zip(records, probabilities, strict=True):
            index, label = int(record["index"]), int(record["label"])
            self._examples.offer(_scatter(index), index, label, row)
            if record["prediction"] != label:
                self._worst.offer(-float(record["nll"]), index, label, row)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, ClassificationMetric)
        assert other.classes == self.classes
        self._records += other._records
        self._worst.merge(other._worst)
        self._examples.merge(other._examples)

    def compute(self) -> ClassificationScores:
        return score(self._once(), self.classes)

    def resampled(self, places: Places) -> ClassificationScores:
        return score(self._once()[places], self.classes)

    def _once(self) -> Records:
        """Each sample, by its index."""
        records = np.concatenate([np.empty(0, RECORD), *self._records])
        _, first = np.unique(records["index"], return_index=True)
        return records[first]

    def worst(self, count: int) -> list[tuple[int, Outputs]]:
        """Wrong ones, those whose true class was thought least likely first; at most KEPT."""
        return [entry.sample for entry in self._worst.entries()][:count]

    def examples(self, count: int) -> list[tuple[int, Outputs]]:
        """A choice by the hash of the index, one of each class in turn; at most KEPT."""
        by_class: dict[int, list[Entry]] = defaultdict(list)
        for entry in self._examples.entries():
            by_class[entry.label].append(entry)
        turns = zip_longest(*(by_class[label] for label in sorted(by_class)))
        return [entry.sample for entry in chain.from_iterable(turns) if entry is not None][:count]


def _records(probabilities: NDArray[np.float32], targets: Places, indices: Places) -> Records:
    top = likeliest(probabilities, 5)
    rows = np.arange(len(targets))
    truth = probabilities[rows, targets]
    records = np.empty(len(targets), RECORD)
    records["index"] = indices
    records["label"] = targets
    records["prediction"] = top[:, 0]
    records["confidence"] = probabilities[rows, top[:, 0]]
    records["in_top5"] = (top == targets[:, None]).any(axis=1)
    records["nll"] = -np.log(truth.clip(np.finfo(np.float32).tiny))
    return records


def _scatter(index: int) -> float:
    """A fixed number for each index, spread evenly over 0-1 (multiples of the golden ratio)."""
    return index * 0.6180339887498949 % 1.0


class Entry:
    """A sample kept with its outputs. The larger `rank`, the sooner it makes room for another."""

    __slots__ = ("index", "label", "probabilities", "rank")

    def __init__(self, rank: float, index: int, label: int, probabilities: NDArray[np.float32]) -> None:
        self.rank, self.index, self.label, self.probabilities = rank, index, label, probabilities

    def __lt__(self, other: "Entry") -> bool:
        """Largest rank first, as heapq has its smallest; ties by the index."""
        return (self.rank, self.index) > (other.rank, other.index)

    @property
    def sample(self) -> tuple[int, Outputs]:
        return self.index, {"probabilities": self.probabilities[None]}


class Shelf:
    """The KEPT samples of the smallest rank among all that were offered, each once."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []

    def offer(self, rank: float, index: int, label: int, probabilities: NDArray[np.float32]) -> None:
        entry = Entry(rank, index, label, probabilities)
        full = len(self._heap) == KEPT
        if (full and entry < self._heap[0]) or any(kept.index == index for kept in self._heap):
            return
        entry.probabilities = probabilities.copy()  # a row would keep its whole batch in memory
        (heapq.heapreplace if full else heapq.heappush)(self._heap, entry)

    def merge(self, other: "Shelf") -> None:
        for entry in other._heap:
            self.offer(entry.rank, entry.index, entry.label, entry.probabilities)

    def entries(self) -> list[Entry]:
        """By rank, smallest first."""
        return sorted(self._heap, reverse=True)
