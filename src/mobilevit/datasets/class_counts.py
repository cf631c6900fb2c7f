"""Class frequencies and class weights. What is counted depends on the task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.target_protocol import Targets
from mobilevit.errors import DataError, ImageError
from mobilevit.images.threads import in_threads
from mobilevit.spec import ClassLabel

CountsOf = Callable[[Any], Mapping[int, int]]  # of the classes in a target, such as `Task.occurrences`


def readable_occurrences(task: Targets) -> CountsOf:
    """`task.class_counts`, none where the target's file is broken: the task's own check speaks of it."""

    def occurrences(target: Any) -> Mapping[int, int]:
        try:
            return task.class_counts(target)
        except ImageError:
            return {}

    return occurrences


def class_counts(dataset: Dataset, occurrences: CountsOf) -> dict[str, list[int]]:
    """For each split how often each class occurs, in the order of `dataset.classes`."""
    return {split: count(samples, len(dataset.classes), occurrences) for split, samples in dataset.splits.items()}


def count(samples: Sequence[Sample], num_classes: int, occurrences: CountsOf) -> list[int]:
    """How often each of `num_classes` classes occurs."""
    return total(in_threads(occurrences, [sample.target for sample in samples]), num_classes)


def total(found: Iterable[Mapping[int, int]], num_classes: int) -> list[int]:
    counts = [0] * num_classes
    for of_target in found:
        for index, times in of_target.items():
            counts[index] += times
    return counts


def class_weights(counts: Sequence[int], classes: Sequence[ClassLabel]) -> list[float]:
    """Weights for the loss: N / (K n_c), for N occurrences in training, K classes and n_c of class c.

    Every class then counts the same in a sum over all occurrences, and the mean over them is one, so the learning rate
    keeps its meaning. DataError where a class does not occur.
    """
    if 0 in counts:
        raise DataError(
            f"class '{classes[counts.index(0)].id}' has no training samples, so no weight: add some, or use "
            "`class_weights=False`"
        )
    return [sum(counts) / (len(counts) * count) for count in counts]


def imbalance(counts: Sequence[int]) -> float:
    """How much oftener the commonest class occurs than the rarest; infinite where that does not occur."""
    return max(counts) / min(counts) if min(counts) else float("inf")
