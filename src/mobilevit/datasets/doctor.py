"""Checks a dataset before training: a quick check, a full check, and skipping what is broken.

Knows no task: it asks the one that read the dataset about its targets.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mobilevit.datasets import class_counts
from mobilevit.datasets.duplicates import duplicate_findings, shared_findings
from mobilevit.datasets.finding import Finding, counted, listed
from mobilevit.datasets.image_findings import (
    broken_findings,
    first_reasons,
    image_findings,
    truncated_findings,
    unused_findings,
)
from mobilevit.datasets.image_inspection import Broken, Truncated, decodes, examine, read_header
from mobilevit.datasets.report import DataReport, ImageSizes
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.similarity import same_images
from mobilevit.datasets.splitting import evenly
from mobilevit.datasets.target_protocol import Targets
from mobilevit.errors import DataError
from mobilevit.images.threads import Progress, in_threads

QUICK_IMAGES = 20_000  # headers that the fast part reads at most: about three seconds
SIZE_STEP_PX, SIZE_MIN_PX = 32, 32  # of the training sizes that are suggested
SEVERITIES = ("error", "warning", "info")  # in the order of a report


def quick_check(task: Targets, dataset: Dataset) -> list[Finding]:
    """Findings within seconds: headers that cannot be read, and the task's quick checks of its targets.

    Of a larger dataset, 20,000 evenly chosen headers are read, which a finding reports.
    """
    paths = _paths(dataset)
    chosen = evenly(paths, QUICK_IMAGES)
    broken, _ = _sorted_out(in_threads(read_header, chosen))
    findings = [*broken_findings(dataset, broken), *shared_findings(dataset), *task.check(dataset, thorough=False)]
    if len(chosen) < len(paths):
        message = f"checked {len(chosen):,} of {len(paths):,} images: `mobilevit check` checks all of them"
        findings.append(Finding("info", "sampled", message))
    return in_order(findings)


def undecodable(
    task: Targets,
    dataset: Dataset,
    progress: Progress | None = None,
    *,
    share: tuple[int, int] = (0, 1),
    allow_truncated: Sequence[str] = (),
) -> tuple[list[Broken], list[Truncated]]:
    """Decode every image, and what belongs to its target, once: those that cannot be, and those that are cut short.

    The latter are of the splits `allow_truncated`, and not to be validated on; all others count as broken. Of several
    processes each takes its `share`, (rank, number of processes). A core decodes about 900 JPEGs of 224 px a second.
    """
    (rank, processes), allowed = share, _trained_on(dataset, allow_truncated)
    files = _files(task, dataset)[rank::processes]
    return _sorted_out(in_threads(lambda path: decodes(path, allow_truncated=path in allowed), files, progress))


def check(task: Targets, dataset: Dataset, progress: Progress | None = None) -> DataReport:
    """Decode every image and report all findings.

    `progress` is called with (images done, total). One core checks about 900 JPEGs of 224 px per second.
    """
    start = time.perf_counter()
    broken, images = _sorted_out(in_threads(examine, _paths(dataset), progress))
    groups = [[images[index] for index in group] for group in same_images(images)]
    readable, occurrences = _without(dataset, broken, task), class_counts.readable_occurrences(task)
    findings = [
        *broken_findings(dataset, broken),
        *truncated_findings(_truncated(dataset, broken)),
        *task.check(readable, thorough=True),
        *shared_findings(dataset),
        *duplicate_findings(dataset, groups, occurrences),
        *image_findings(dataset, images),
        *unused_findings(dataset, task),
    ]
    return DataReport(
        dataset=dataset,
        task=task,
        class_counts=class_counts.class_counts(readable if task.counts_images else dataset, occurrences),
        findings=in_order(findings),
        broken=broken,
        duplicates=[[image.path for image in group] for group in groups],
        sizes=ImageSizes.of([image.header.size for image in images]) if images else None,
        suggested_image_size=_size_for([min(image.header.size) for image in images], task) if images else None,
        gray_share=sum(image.is_gray for image in images) / max(1, len(images)),
        seconds=time.perf_counter() - start,
    )


def without_broken(
    task: Targets, dataset: Dataset, progress: Progress | None = None, *, allow_truncated: Sequence[str] = ()
) -> tuple[Dataset, list[Finding]]:
    """The dataset without what cannot be decoded, and a warning that counts the images (and masks).

    Decodes every image; `allow_truncated` as for `undecodable`. DataError if a class loses its last training image, or
    a split its last.
    """
    paths = _files(task, dataset)
    broken, _ = undecodable(task, dataset, progress, allow_truncated=allow_truncated)
    if not broken:
        return dataset, []
    readable = _without(dataset, broken, task)
    _must_be_whole(task, dataset, readable)
    count = f"{counted(len(broken), 'image')} of {len(paths):,}"
    message = f"skipped {count} that cannot be read: {first_reasons(dataset, broken)}"
    return readable, [Finding("warning", "unreadable", message, tuple(image.path for image in broken))]


def suggest_image_size(task: Targets, dataset: Dataset, sample: int = 200) -> int:
    """A training size that suits the images: the median short side of `sample` training images.

    Rounded down to a multiple of 32, between 32 and the paper's size for the task. DataError if none of them can be
    read.
    """
    chosen = evenly([entry.path for entry in dataset.splits["train"]], sample)
    broken, headers = _sorted_out(in_threads(read_header, chosen))
    if not headers:
        raise DataError(
            f"no image of {dataset.root} can be read, after trying {len(chosen)}: {first_reasons(dataset, broken)}"
        )
    return _size_for([min(header.size) for header in headers], task)


def in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first, then warnings, then the rest."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _paths(dataset: Dataset) -> list[Path]:
    """Every image once, in however many splits it is."""
    return list(dict.fromkeys(sample.path for samples in dataset.splits.values() for sample in samples))


def _trained_on(dataset: Dataset, splits: Sequence[str]) -> set[Path]:
    """The images of some splits, but those that are validated on too."""
    val = {sample.path for sample in dataset.splits.get("val", ())}
    return {sample.path for split in splits for sample in dataset.splits.get(split, ())} - val


def _truncated(dataset: Dataset, broken: Sequence[Broken]) -> list[Truncated]:
    """Those of the broken images that a run could be allowed to train on."""
    trained_on = _trained_on(dataset, ["train"])
    paths = [image.path for image in broken if image.path in trained_on]
    return _sorted_out(in_threads(lambda path: decodes(path, allow_truncated=True), paths))[1]


def _files(task: Targets, dataset: Dataset) -> list[Path]:
    """Every image once, with what belongs to its target."""
    samples = [sample for samples in dataset.splits.values() for sample in samples]
    return list(dict.fromkeys(path for sample in samples for path in (sample.path, *task.files(sample.target))))


Fine = TypeVar("Fine")


def _sorted_out(outcomes: Sequence[Fine | Broken | None]) -> tuple[list[Broken], list[Fine]]:
    broken = [outcome for outcome in outcomes if isinstance(outcome, Broken)]
    return broken, [outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, Broken)]


def _size_for(short_sides: Sequence[int], task: Targets) -> int:
    steps = int(np.median(short_sides)) // SIZE_STEP_PX
    return min(task.image_size, max(SIZE_MIN_PX, steps * SIZE_STEP_PX))


def _without(dataset: Dataset, broken: Sequence[Broken], task: Targets) -> Dataset:
    paths = {image.path for image in broken}

    def whole(sample: Sample) -> bool:
        return sample.path not in paths and paths.isdisjoint(task.files(sample.target))

    splits = {split: tuple(filter(whole, samples)) for split, samples in dataset.splits.items()}
    return replace(dataset, splits=splits)


def _must_be_whole(task: Targets, before: Dataset, after: Dataset) -> None:
    empty = [split for split, samples in after.splits.items() if before.splits[split] and not samples]
    if empty:
        raise DataError(f"no image of {listed(empty)} can be read in {before.root}: copy the data again")
    if "train" not in after.splits:
        return
    remaining = {sample.path for sample in after.splits["train"]}
    gone = [sample for sample in before.splits["train"] if sample.path not in remaining]
    occurrences = class_counts.readable_occurrences(task)
    lost, kept = (
        {index for sample in samples for index in occurrences(sample.target)}
        for samples in (gone, after.splits["train"])
    )
    if lost - kept:
        names = listed([before.classes[index].name for index in sorted(lost - kept)])
        raise DataError(f"no training image of {names} can be read in {before.root}: copy them again")
