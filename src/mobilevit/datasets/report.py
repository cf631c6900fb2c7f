"""DataReport: the result of a check, as a table, as JSON and as an image."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobilevit.datasets.class_counts import class_weights, imbalance
from mobilevit.datasets.contact_sheet import contact_sheet
from mobilevit.datasets.finding import Finding, printable
from mobilevit.datasets.image_inspection import Broken
from mobilevit.datasets.sample import Dataset
from mobilevit.datasets.target_protocol import Targets


@dataclass(frozen=True)
class Quantiles:
    """Of a length in pixels over all images."""

    min: int
    p05: int  # a twentieth of the images is smaller
    median: int
    p95: int
    max: int

    @classmethod
    def of(cls, lengths_px: Sequence[int]) -> "Quantiles":
        return cls(*(int(value) for value in np.quantile(lengths_px, (0, 0.05, 0.5, 0.95, 1))))


@dataclass(frozen=True)
class ImageSizes:
    """How large the images are, upright."""

    short_side_px: Quantiles
    long_side_px: Quantiles

    @classmethod
    def of(cls, sizes: Sequence[tuple[int, int]]) -> "ImageSizes":
        return cls(Quantiles.of([min(size) for size in sizes]), Quantiles.of([max(size) for size in sizes]))


@dataclass(frozen=True)
class DataReport:
    """The result of a full check."""

    dataset: Dataset
    task: Targets
    class_counts: Mapping[str, Sequence[int]]  # for each split how often each class occurs, where its files can be read
    findings: Sequence[Finding]  # errors first
    broken: Sequence[Broken]  # images that cannot be decoded, and why
    duplicates: Sequence[Sequence[Path]]  # groups of the same or nearly the same image
    sizes: ImageSizes | None  # of the images that can be decoded; None where there are none
    suggested_image_size: int | None  # for training
    gray_share: float  # of the images, 0-1
    seconds: float  # that the check took

    @property
    def ok(self) -> bool:
        """Whether training could start."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """The same by the id of the class."""
        ids = [label.id for label in self.dataset.classes]
        return {split: dict(zip(ids, of_split, strict=True)) for split, of_split in self.class_counts.items()}

    def rows(self) -> list[dict[str, str | int]]:
        """The counts as a table, a row a class."""
        columns: dict[str, list[str]] = {"class": [label.name for label in self.dataset.classes]}
        if any(label.id != label.name for label in self.dataset.classes):
            columns["id"] = [label.id for label in self.dataset.classes]
        table = {**columns, **self.class_counts}
        return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]

    def grid(self) -> Image.Image:
        """Sample images of the classes on one sheet."""
        return contact_sheet(self.dataset, self.task, self.class_counts, {image.path for image in self.broken})

    def to_dict(self) -> dict[str, Any]:
        """All results as plain values for JSON."""
        counts, classes = self.class_counts, self.dataset.classes
        weights = [None] * len(classes) if 0 in counts["train"] else class_weights(counts["train"], classes)
        return {
            "root": printable(self.dataset.root),
            "task": self.dataset.task,
            "ok": self.ok,
            "images": {split: len(samples) for split, samples in self.dataset.splits.items()},
            "counted": self.task.counted,
            "classes": [
                {**asdict(label), **{split: counts[split][index] for split in counts}, "weight": weights[index]}
                for index, label in enumerate(classes)
            ],
            "imbalance": imbalance(counts["train"]),
            "sizes": asdict(self.sizes) if self.sizes else None,
            "suggested_image_size": self.suggested_image_size,
            "gray_share": self.gray_share,
            "findings": [
                {**asdict(finding), "paths": [printable(path) for path in finding.paths]} for finding in self.findings
            ],
            "broken": [{"path": printable(image.path), "reason": image.reason} for image in self.broken],
            "duplicates": [[printable(path) for path in group] for group in self.duplicates],
            "seconds": round(self.seconds, 3),
        }
