"""The scores of a classifier, from one record a sample. Pure numpy."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mobilevit.spec import ClassLabel, Criterion
from mobilevit.tasks.averages import mean_of_defined

if TYPE_CHECKING:
    from mobilevit.figures import Figure

RECORD = np.dtype(
    [
        ("index", np.int64),  # of the sample in its split
        ("label", np.int32),  # the true class
        ("prediction", np.int32),
        ("confidence", np.float32),  # probability of the prediction
        ("in_top5", np.bool_),  # whether the true class is among the five likeliest
        ("nll", np.float32),  # -log of the probability of the true class
    ]
)
Records = npt.NDArray[np.void]  # of RECORD
Counts = npt.NDArray[np.int64]
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """How one class fared. None: not defined, because the class was never predicted, or never there."""

    id: str
    name: str
    count: int  # images of the class
    predicted: int  # images taken for it
    precision: float | None  # right among those taken for it
    recall: float | None  # found among those of the class
    f1: float | None  # harmonic mean of the two


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose prediction had a confidence in (low, high]."""

    low: float
    high: float
    count: int
    confidence: float | None  # mean; None where the bin is empty
    accuracy: float | None


@dataclass(frozen=True)
class ClassificationScores:
    """All fractions are 0-1. None: not measured, because there was no sample."""

    classes: tuple[ClassLabel, ...]
    confusion: Counts  # (K, K), rows the true class, columns the prediction
    top1: float | None
    top5: float | None  # the true class among the five likeliest, or among all where there are fewer
    nll: float | None  # mean -log of the probability of the true class: the plain cross entropy
    calibration: tuple[CalibrationBin, ...]

    @property
    def primary(self) -> tuple[str, float | None]:
        return "top1", self.top1

    @property
    def count(self) -> int:
        return int(self.confusion.sum())

    @property
    def ece(self) -> float | None:
        """Expected calibration error: the mean gap between confidence and accuracy, over all images."""
        filled = [bin for bin in self.calibration if bin.count]
        if not filled:
            return None
        return sum(bin.count * abs((bin.accuracy or 0.0) - (bin.confidence or 0.0)) for bin in filled) / self.count

    @cached_property
    def per_class(self) -> tuple[ClassScore, ...]:
        """Every class of the model, in its order."""
        hits, counts, predicted = self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)
        return tuple(
            ClassScore(
                label.id,
                label.name,
                int(counts[k]),
                int(predicted[k]),
                _ratio(hits[k], predicted[k]),
                _ratio(hits[k], counts[k]),
                _ratio(2 * hits[k], counts[k] + predicted[k]),
            )
            for k, label in enumerate(self.classes)
        )

    @cached_property
    def seen(self) -> list[int]:
        """The classes that were there or predicted: a model may know a thousand and a dataset ten of them."""
        return [k for k, row in enumerate(self.per_class) if row.count or row.predicted]

    def scalars(self) -> dict[str, float | None]:
        present = [row for row in self.per_class if row.count]
        return {
            "top1": self.top1,
            "top5": self.top5,
            "nll": self.nll,
            "ece": self.ece,
            "mean_recall": mean_of_defined([row.recall for row in present]),
            "mean_f1": mean_of_defined([row.f1 for row in present]),
        }

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.scalars(),
            "count": self.count,
            "classes": [asdict(self.per_class[k]) for k in self.seen],
            "calibration": [asdict(bin) for bin in self.calibration],
        }

    def threshold(self, criterion: Criterion) -> None:
        """None: a result tells everything, whatever its score."""

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return {"Classes": [_class_row(self.per_class[k]) for k in self.seen]}

    def files(self) -> dict[str, str]:
        """The confusion matrix: a row for each true class, a column for each prediction, headed by the ids."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["truth \\ prediction", *(self.classes[k].id for k in self.seen)])
        for k in self.seen:
            writer.writerow([self.classes[k].id, *self.confusion[k, self.seen].tolist()])
        return {"confusion.csv": text.getvalue()}

    def plots(self) -> "dict[str, Figure]":
        from mobilevit.tasks import charts  # and with it matplotlib, which takes a second
        from mobilevit.tasks.classification import plots

        if self.ece is None:
            return {}
        names = [self.classes[k].name for k in self.seen]
        return {
            "Confusion": charts.confusion(self.confusion[np.ix_(self.seen, self.seen)], names),
            "Reliability": plots.reliability(self.calibration, self.ece),
            "Recall": plots.recall([row for row in self.per_class if row.count]),
        }


def score(records: Records, classes: Sequence[ClassLabel]) -> ClassificationScores:
    """The scores of samples, each recorded once."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (records["label"], records["prediction"]), 1)
    right = records["label"] == records["prediction"]
    return ClassificationScores(
        tuple(classes),
        confusion,
        top1=float(right.mean()) if len(records) else None,
        top5=float(records["in_top5"].mean()) if len(records) else None,
        nll=float(records["nll"].mean(dtype=np.float64)) if len(records) else None,
        calibration=_calibration(records["confidence"], right),
    )


def _calibration(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_]) -> tuple[CalibrationBin, ...]:
    """Bins of equal width, closed above (Guo et al. 2017, section 2)."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence.astype(np.float64)) - 1, 0, CALIBRATION_BINS - 1)
    bins = []
    for number in range(CALIBRATION_BINS):
        inside = place == number
        count = int(inside.sum())
        bins.append(
            CalibrationBin(
                low=float(edges[number]),
                high=float(edges[number + 1]),
                count=count,
                confidence=float(confidence[inside].mean(dtype=np.float64)) if count else None,
                accuracy=float(right[inside].mean()) if count else None,
            )
        )
    return tuple(bins)


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None


def _class_row(row: ClassScore) -> dict[str, Any]:
    figures = {"images": row.count, "predicted": row.predicted}
    shares = {"precision": row.precision, "recall": row.recall, "f1": row.f1}
    identity = {"class": row.name} if row.id == row.name else {"class": row.name, "id": row.id}
    return {**identity, **figures, **shares}
