"""What to say about the classes of a dataset; the images themselves are the doctor's."""

from collections.abc import Iterator
from pathlib import Path

from mobilevit.datasets import class_folder_layout
from mobilevit.datasets.class_counts import imbalance, total
from mobilevit.datasets.class_name_heuristics import name_findings
from mobilevit.datasets.finding import Finding, counted, listed
from mobilevit.datasets.sample import Dataset

FEW_IMAGES = 10  # in training, below which a class is hardly learned
IMBALANCE_RATIO = 3.0  # largest class over the smallest, from which class weights are worth a try


def findings(dataset: Dataset) -> list[Finding]:
    """Where val comes from; classes that are small, missing, spelled alike or other in the mirror; imbalance."""
    checks = (_split, _missing, _few, _imbalance)
    return [
        *dataset.notes,
        *name_findings(dataset.classes),
        *(finding for check in checks for finding in check(dataset)),
    ]


def _split(dataset: Dataset) -> Iterator[Finding]:
    """Says where val comes from, unless it is a folder of that name."""
    if not dataset.splits["val"]:
        return
    path = dataset.splits["val"][0].path
    inside = path.relative_to(dataset.root) if path.is_relative_to(dataset.root) else path
    origin = class_folder_layout.split_of(Path(inside.parts[0]))
    if origin == "test":
        message = (
            "no val folder: validating on test, whose score is then too optimistic, since it selects the best epoch"
        )
        yield Finding("info", "split", message)
    elif origin != "val":
        count = len(dataset.splits["val"])
        message = f"no val folder: validating on {counted(count, 'image')}, held out by name and seed"
        yield Finding("info", "split", message)


def _missing(dataset: Dataset) -> Iterator[Finding]:
    for split in dataset.splits:
        counts = _counts(dataset, split)
        absent = [label.name for label, count in zip(dataset.classes, counts, strict=True) if not count]
        if absent:
            yield Finding(
                "error" if split == "train" else "warning",
                "missing-class",
                f"{counted(len(absent), 'class')} without an image in {split}: {listed(absent)}",
            )


def _few(dataset: Dataset) -> Iterator[Finding]:
    counts = dict(zip(dataset.classes, _counts(dataset, "train"), strict=True))
    single = [label.name for label, count in counts.items() if count == 1]
    if single:
        message = f"one training image in {listed(single)}: it cannot be learned from one; add images or drop it"
        yield Finding("warning", "single-image", message)
    few = [f"{label.name} ({count})" for label, count in counts.items() if 1 < count < FEW_IMAGES]
    if few:
        yield Finding("warning", "few-images", f"fewer than {FEW_IMAGES} training images: {listed(few)}")


def _imbalance(dataset: Dataset) -> Iterator[Finding]:
    counts = _counts(dataset, "train")
    if min(counts) and imbalance(counts) >= IMBALANCE_RATIO:
        largest, smallest = (dataset.classes[counts.index(extreme(counts))].name for extreme in (max, min))
        yield Finding(
            "warning",
            "imbalance",
            f"'{largest}' has {imbalance(counts):.1f} times the training images of '{smallest}' "
            f"({max(counts):,} and {min(counts):,}): train with --class-weights",
        )


def _counts(dataset: Dataset, split: str) -> list[int]:
    """How many images of a split each class has."""
    return total(({sample.target: 1} for sample in dataset.splits[split]), len(dataset.classes))
