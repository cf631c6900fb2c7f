"""How many pictures each class has, and the weights that make up for it. Targets are class indices."""

from collections.abc import Sequence

from mobilevit.data.sample import Dataset, Sample
from mobilevit.errors import DataError


def class_counts(dataset: Dataset) -> dict[str, list[int]]:
    """For each split the number of pictures of each class, in the order of `dataset.classes`."""
    return {split: _count(samples, len(dataset.classes)) for split, samples in dataset.splits.items()}


def class_weights(dataset: Dataset) -> list[float]:
    """Weights for the loss: N / (K n_c), for N training pictures, K classes and n_c pictures of class c.

    Every class then counts the same in a sum over the training pictures, and the mean over those pictures is one, so
    the learning rate keeps its meaning. DataError where a class has no training picture.
    """
    counts = _count(dataset.splits["train"], len(dataset.classes))
    if 0 in counts:
        raise DataError(f"the class '{dataset.classes[counts.index(0)].id}' has no training picture: it has no weight")
    return [sum(counts) / (len(counts) * count) for count in counts]


def imbalance(counts: Sequence[int]) -> float:
    """The size of the largest class over that of the smallest; infinite where that is empty."""
    return max(counts) / min(counts) if min(counts) else float("inf")


def _count(samples: Sequence[Sample], num_classes: int) -> list[int]:
    counts = [0] * num_classes
    for sample in samples:
        counts[sample.target] += 1
    return counts
