"""The scores of a segmenter, from one confusion matrix over all pixels. Pure numpy."""

import csv
import io
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mobilevit.spec import ClassLabel, Criterion
from mobilevit.tasks.averages import mean_of_defined

if TYPE_CHECKING:
    from mobilevit.figures import Figure

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """How one class fared. None: not defined, because no pixel is of the class, or none was taken for it."""

    id: str
    name: str
    pixels: int  # of the class
    predicted: int  # pixels taken for it
    iou: float | None  # right over those of the class, taken for it, or both
    accuracy: float | None  # found among those of the class
    precision: float | None  # right among those taken for it


@dataclass(frozen=True)
class SegmentationScores:
    """All fractions are 0-1."""

    classes: tuple[ClassLabel, ...]
    confusion: Counts  # (K, K) pixels, rows the true class, columns the prediction
    images: int

    @property
    def primary(self) -> tuple[str, float | None]:
        return "miou", self.miou

    @property
    def miou(self) -> float | None:
        """The mean over the classes that are there or were predicted; the others have no IoU. None without any."""
        return mean_of_defined([row.iou for row in self.per_class])

    @cached_property
    def per_class(self) -> tuple[ClassScore, ...]:
        """Every class of the model, in its order."""
        hits, pixels, predicted = self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)
        return tuple(
            ClassScore(
                label.id,
                label.name,
                int(pixels[k]),
                int(predicted[k]),
                _ratio(hits[k], pixels[k] + predicted[k] - hits[k]),
                _ratio(hits[k], pixels[k]),
                _ratio(hits[k], predicted[k]),
            )
            for k, label in enumerate(self.classes)
        )

    @cached_property
    def seen(self) -> list[int]:
        """The classes that were there or predicted."""
        return [k for k, row in enumerate(self.per_class) if row.pixels or row.predicted]

    def scalars(self) -> dict[str, float | None]:
        return {
            "miou": self.miou,
            "pixel_accuracy": _ratio(self.confusion.trace(), self.confusion.sum()),
            "mean_accuracy": mean_of_defined([row.accuracy for row in self.per_class]),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.scalars(),
            "images": self.images,
            "pixels": int(self.confusion.sum()),
            "classes": [asdict(self.per_class[k]) for k in self.seen],
        }

    def threshold(self, criterion: Criterion) -> None:
        """None: a result tells everything, whatever its score."""

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return {"Classes": [_class_row(self.per_class[k]) for k in self.seen]}

    def files(self) -> dict[str, str]:
        """The confusion matrix in pixels: a row for each true class, a column for each prediction, headed by ids."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["truth \\ prediction", *(self.classes[k].id for k in self.seen)])
        for k in self.seen:
            writer.writerow([self.classes[k].id, *self.confusion[k, self.seen].tolist()])
        return {"confusion.csv": text.getvalue()}

    def plots(self) -> "dict[str, Figure]":
        from mobilevit.tasks import charts  # and with it matplotlib, which takes a second

        if not self.confusion.any():
            return {}
        rows = [self.per_class[k] for k in self.seen]
        bars = [charts.Bar(row.name, row.iou or 0.0, f"{row.iou or 0.0:.1%}", row.accuracy) for row in rows]
        among, names = self.confusion[np.ix_(self.seen, self.seen)], [row.name for row in rows]
        return {
            "IoU": charts.bars(bars, share="IoU", mark="accuracy"),
            "Confusion": charts.confusion(among, names, counted="pixels", cell="share"),
        }


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None


def _class_row(row: ClassScore) -> dict[str, Any]:
    figures = {"pixels": row.pixels, "predicted": row.predicted}
    shares = {"iou": row.iou, "accuracy": row.accuracy, "precision": row.precision}
    identity = {"class": row.name} if row.id == row.name else {"class": row.name, "id": row.id}
    return {**identity, **figures, **shares}
