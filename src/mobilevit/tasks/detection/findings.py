"""What to say about the boxes of a dataset; the images themselves are the doctor's."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.class_counts import imbalance, total
from mobilevit.datasets.class_name_heuristics import name_findings
from mobilevit.datasets.finding import Finding, counted, listed
from mobilevit.datasets.repairs import DROPPED, UNANNOTATED
from mobilevit.datasets.sample import Dataset
from mobilevit.models.anchor_sizes import PAPER_SIZES, AnchorSizes

FEW_BOXES = 10  # in training, below which a class is hardly learned
IMBALANCE_RATIO = 5.0  # commonest class over the rarest, from which class weights are worth a try
SMALL_SHARE = 0.25  # of a class below the smallest anchor, from which other anchors are worth a try


def findings(dataset: Dataset) -> list[Finding]:
    """What the reader found and mended; classes that are missing, few or small."""
    checks = (_nothing, _unmeasurable, _missing, _few, _imbalance, _small)
    said = [finding for check in checks for finding in check(dataset)]
    return [*dataset.notes, *name_findings(dataset.classes), *said]


def small_shares(dataset: Dataset, anchors: AnchorSizes = PAPER_SIZES) -> list[float]:
    """For each class the share of its training boxes whose longer side is below that of every anchor.

    0 for a class without boxes. Sides are shares of the image's.
    """
    smallest = min(max(size) for level in anchors for size in level)
    sides = _longer_sides(dataset)
    return [float((of_class < smallest).mean()) if len(of_class) else 0.0 for of_class in sides]


def _longer_sides(dataset: Dataset) -> list[NDArray[np.float32]]:
    """For each class (N,): the longer side of its training boxes, width and height as shares of the image's."""
    targets = [sample.target.counted() for sample in dataset.splits["train"] if len(sample.target)]
    sides = [((one.boxes[:, 2:] - one.boxes[:, :2]) / np.array(one.size)).max(axis=1) for one in targets]
    all_sides = np.concatenate([np.empty(0, np.float32), *sides])
    classes = np.concatenate([np.empty(0, np.int64), *(one.labels for one in targets)])
    return [all_sides[classes == index] for index in range(len(dataset.classes))]


def _nothing(dataset: Dataset) -> Iterator[Finding]:
    """Training images among which none has an object."""
    if dataset.splits["train"] and not sum(_counts(dataset, "train")):
        dropped = [f". {note.message}" for note in dataset.notes if note.kind in (*DROPPED, *UNANNOTATED)]
        none = f"no boxes{_ignored(dataset, 'train')}"
        message = f"the training images have {none}: there is nothing to learn{''.join(dropped)}"
        yield Finding("error", "no-boxes", message)


def _unmeasurable(dataset: Dataset) -> Iterator[Finding]:
    """Validation images among which none has an object, while there is something to learn."""
    if dataset.splits["val"] and sum(_counts(dataset, "train")) and not sum(_counts(dataset, "val")):
        looked = [f". {note.message}" for note in dataset.notes if note.kind in (*DROPPED, *UNANNOTATED)]
        is_made = any(note.kind == "split" and "by name and seed" in note.message for note in dataset.notes)
        remedy = "take another --split-seed, or more by --val-fraction" if is_made else "annotate some of them"
        none = f"no boxes{_ignored(dataset, 'val')}"
        message = f"the val images have {none}, so that nothing can be measured: {remedy}{''.join(looked)}"
        yield Finding("error", "no-val-boxes", message)


def _ignored(dataset: Dataset, split: str) -> str:
    """That there are boxes which do not count, where a split has no others."""
    are_there = any(len(sample.target) for sample in dataset.splits[split])
    return " but those of difficult objects and crowds, which do not count" if are_there else ""


def _missing(dataset: Dataset) -> Iterator[Finding]:
    for split, samples in dataset.splits.items():
        counts = _counts(dataset, split)
        absent = [label.name for label, count in zip(dataset.classes, counts, strict=True) if not count]
        if samples and absent and sum(counts):
            where = "cannot be learned" if split == "train" else "is not measured there"
            message = f"{counted(len(absent), 'class')} without a box in {split}, which {where}: {listed(absent)}"
            yield Finding("warning", "missing-class", message)


def _few(dataset: Dataset) -> Iterator[Finding]:
    counts = zip(dataset.classes, _counts(dataset, "train"), strict=True)
    few = [f"{label.name} ({count})" for label, count in counts if 0 < count < FEW_BOXES]
    if few:
        yield Finding("warning", "few-boxes", f"fewer than {FEW_BOXES} training boxes: {listed(few)}")


def _imbalance(dataset: Dataset) -> Iterator[Finding]:
    counts = [count for count in _counts(dataset, "train") if count]
    if counts and imbalance(counts) >= IMBALANCE_RATIO:
        of_class = dict(zip(_counts(dataset, "train"), dataset.classes, strict=True))
        yield Finding(
            "info",
            "imbalance",
            f"'{of_class[max(counts)].name}' has {imbalance(counts):.1f} times the training boxes of "
            f"'{of_class[min(counts)].name}' ({max(counts):,} and {min(counts):,}): try --class-weights",
        )


def _small(dataset: Dataset) -> Iterator[Finding]:
    shares = zip(dataset.classes, small_shares(dataset), strict=True)
    small = [f"{label.name} ({share:.0%})" for label, share in shares if share >= SMALL_SHARE]
    if small:
        message = f"many boxes are smaller than the smallest anchor: {listed(small)}"
        yield Finding("warning", "small-boxes", f"{message}; train with --anchors data --anchors-per-box 4")


def _counts(dataset: Dataset, split: str) -> Sequence[int]:
    """How many boxes of each class a split has; those to ignore are not counted."""
    return total((sample.target.class_counts() for sample in dataset.splits[split]), len(dataset.classes))
