"""The scores of a detector, from the boxes found in each image and the true ones."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.box_target import Boxes
from mobilevit.spec import ClassLabel, Criterion, ScoreThreshold
from mobilevit.tasks.detection.coco_scores import AT_50, AT_75, RECALLS, CocoScores, evaluate
from mobilevit.tasks.detection.error_types import FALSE, Comparison, Verdict, compare
from mobilevit.tasks.detection.result import SCORE_THRESHOLD
from mobilevit.tasks.detection.thresholds import Curve, best, curve
from mobilevit.text import to_json

if TYPE_CHECKING:
    from mobilevit.figures import Figure


@dataclass(frozen=True, eq=False)
class Record:
    """What was found in an image, highest score first, and what is there."""

    truth: Boxes
    boxes: NDArray[np.float32]  # (N, 4) left, top, right, bottom in pixels
    scores: NDArray[np.float32]  # (N,)
    labels: NDArray[np.int64]  # (N,)

    @cached_property
    def comparison(self) -> Comparison:
        """Of all boxes."""
        return compare(self.boxes, self.labels, self.truth)

    def told(self, score_threshold: float) -> Comparison:
        """Of the boxes that a prediction tells."""
        return self.comparison.of_first(int((self.scores > score_threshold).sum()))


@dataclass(frozen=True)
class ClassScore:
    """How one class fared, all 0-1. None: not defined, because it was never there."""

    id: str
    name: str
    count: int  # true boxes
    ap: float | None  # average precision, mean over ten IoUs from .50 to .95
    ap50: float | None
    ap75: float | None
    recall: float | None  # at IoU .50, of the hundred highest-scoring boxes an image
    f1: float | None  # the best that a threshold gives at IoU .50
    best_score: float | None  # that threshold, for this class alone


@dataclass(frozen=True)
class ClassMistakes:
    """What became of one class above the score threshold, in boxes; overlaps are those of `comparing`."""

    id: str
    name: str
    found: int  # true boxes
    missed: int  # true boxes
    localization: int  # boxes near an object of the class
    classification: int  # boxes on an object of another class
    duplicate: int  # boxes on an object that a one of a higher score has found
    background: int  # boxes where nothing of the kind is

    @property
    def false(self) -> int:
        return self.localization + self.classification + self.duplicate + self.background


@dataclass(frozen=True)
class DetectionScores:
    """All fractions are 0-1."""

    classes: tuple[ClassLabel, ...]
    records: Mapping[int, Record]  # by the index of the image
    coco: CocoScores
    score_threshold: float = SCORE_THRESHOLD  # above which the model tells a box

    @property
    def primary(self) -> tuple[str, float | None]:
        return "map", self.scalars()["map"]

    @cached_property
    def per_class(self) -> tuple[ClassScore, ...]:
        """Every class of the model, in its order."""
        labels = [record.truth.labels[~record.truth.ignore] for record in self.records.values()]
        counts = np.bincount(np.concatenate([np.empty(0, np.int64), *labels]), minlength=len(self.classes))
        ap = self.coco.ap
        return tuple(
            ClassScore(
                label.id,
                label.name,
                int(counts[k]),
                _known(ap[:, k].mean()),
                _known(ap[AT_50, k]),
                _known(ap[AT_75, k]),
                _known(self.coco.recall[AT_50, k]),
                *self._best_f1(k),
            )
            for k, label in enumerate(self.classes)
        )

    def _best_f1(self, k: int) -> tuple[float | None, float | None]:
        """The best F1 of class `k` at IoU .50, and the score from which it is reached."""
        precision = self.coco.precision[AT_50, :, k]
        if np.isnan(precision).any():
            return None, None
        f1 = 2 * precision * RECALLS / np.maximum(precision + RECALLS, 1e-12)
        best = f1.argmax()
        return float(f1[best]), float(self.coco.confidence[best, k])

    @cached_property
    def mistakes(self) -> tuple[ClassMistakes, ...]:
        """Of every class of the model, in its order."""
        counts = np.zeros((len(self.classes), len(Verdict)), np.int64)
        missed = np.zeros(len(self.classes), np.int64)
        for record in self.records.values():
            comparison = record.told(self.score_threshold)
            np.add.at(counts, (record.labels[: len(comparison.verdicts)], comparison.verdicts), 1)
            np.add.at(missed, record.truth.labels[comparison.missed], 1)
        return tuple(
            ClassMistakes(
                label.id,
                label.name,
                int(counts[k, Verdict.RIGHT]),
                int(missed[k]),
                *(int(counts[k, verdict]) for verdict in FALSE),
            )
            for k, label in enumerate(self.classes)
        )

    @cached_property
    def curve(self) -> Curve:
        """Precision and recall of every score threshold, over all classes together."""
        return curve((record.scores, record.comparison) for record in self.records.values())

    def threshold(self, criterion: Criterion) -> ScoreThreshold | None:
        """None where no box is right."""
        return best(self.curve, criterion)

    @cached_property
    def seen(self) -> list[int]:
        """The classes that were there or found: a model may know eighty and a dataset three of them."""
        pairs = zip(self.per_class, self.mistakes, strict=True)
        return [k for k, (row, mistakes) in enumerate(pairs) if row.count or mistakes.false]

    def scalars(self) -> dict[str, float | None]:
        """Means over the classes that are there; None where there are none."""
        ap, recall = self.coco.ap, self.coco.recall
        means = {"map": ap, "map50": ap[AT_50], "map75": ap[AT_75]}
        sizes = {f"map_{size}": value for size, value in self.coco.by_size.items()}
        return {**{name: _mean(values) for name, values in means.items()}, **sizes, "recall100": _mean(recall)}

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.scalars(),
            "count": len(self.records),
            "classes": [asdict(self.per_class[k]) for k in self.seen],
            "mistakes": {
                "score_threshold": self.score_threshold,
                "classes": [asdict(self.mistakes[k]) for k in self.seen],
            },
            "score_thresholds": self._thresholds(),
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "Classes": [_class_row(self.per_class[k]) for k in self.seen],
            f"Mistakes, of boxes above {self.score_threshold:g}": [_mistakes_row(self.mistakes[k]) for k in self.seen],
            "Score thresholds": self._thresholds(),
        }

    def _thresholds(self) -> list[dict[str, Any]]:
        """Precision and recall above the threshold in use, and above that of the best F1."""
        rows = {"in use": self.score_threshold}
        if chosen := self.threshold(Criterion("f1")):
            rows["best F1"] = chosen.value
        return [{"threshold": name, "score": value, **self._at(value)} for name, value in rows.items()]

    def _at(self, score_threshold: float) -> dict[str, float | None]:
        precision, recall = self.curve.at(score_threshold) or (None, 0.0)
        f1 = None if precision is None else 2 * precision * recall / max(precision + recall, 1e-12)
        return {"precision": precision, "recall": recall, "f1": f1}

    def files(self) -> dict[str, str]:
        """Boxes as COCO's JSON has them: those that are there, and those that were found."""
        images, truths, found = coco_json(self.records)
        categories = [{"id": k, "name": label.name} for k, label in enumerate(self.classes, start=1)]
        truth = {"images": images, "annotations": truths, "categories": categories}
        return {"truth.json": to_json(truth), "detections.json": to_json(found)}

    def plots(self) -> "dict[str, Figure]":
        from mobilevit.tasks.detection import plots  # and with it matplotlib, which takes a second

        there = [k for k, row in enumerate(self.per_class) if row.count]
        if not there:
            return {}
        curves = {self.classes[k].name: self.coco.precision[AT_50, :, k] for k in there}
        return {
            "Precision-recall": plots.precision_recall(curves),
            "Precision": plots.precision([self.per_class[k] for k in there]),
            "Mistakes": plots.mistakes([self.mistakes[k] for k in self.seen], self.score_threshold),
        }


def score(
    records: Mapping[int, Record], classes: Sequence[ClassLabel], score_threshold: float = SCORE_THRESHOLD
) -> DetectionScores:
    """The scores of images."""
    return DetectionScores(tuple(classes), records, evaluate(*coco_json(records), len(classes)), score_threshold)


Rows = list[dict[str, Any]]


def coco_json(records: Mapping[int, Record]) -> tuple[Rows, Rows, Rows]:
    """Images, annotations and results as COCO has them. Ids of images are indices, categories 1 and the class."""
    images: Rows = []
    truths: Rows = []
    found: Rows = []
    for index, record in records.items():
        width, height = record.truth.size
        images.append({"id": index, "width": width, "height": height})
        truth = zip(_xywh(record.truth.boxes), record.truth.labels.tolist(), record.truth.ignore.tolist(), strict=True)
        for box, label, ignored in truth:
            about = {"image_id": index, "category_id": label + 1, "bbox": box}
            truths.append({"id": len(truths) + 1, **about, "area": box[2] * box[3], "iscrowd": int(ignored)})
        for box, label, sure in zip(_xywh(record.boxes), record.labels.tolist(), record.scores.tolist(), strict=True):
            found.append({"image_id": index, "category_id": label + 1, "bbox": box, "score": sure})
    return images, truths, found


def _xywh(boxes: NDArray[np.float32]) -> list[list[float]]:
    corners = boxes.astype(np.float64)
    rows: list[list[float]] = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    return rows


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _class_row(row: ClassScore) -> dict[str, Any]:
    identity = {"class": row.name} if row.id == row.name else {"class": row.name, "id": row.id}
    shares = {"ap": row.ap, "ap50": row.ap50, "ap75": row.ap75, "recall": row.recall, "f1": row.f1}
    return {**identity, "boxes": row.count, **shares, "at score": row.best_score}


def _mistakes_row(row: ClassMistakes) -> dict[str, Any]:
    figures = {name: count for name, count in asdict(row).items() if name not in ("id", "name")}
    return {"class": row.name, **figures}
