"""Gathers what the scores of a detector need: the boxes found in each image, at most a hundred, and the true ones.

Knows nothing of files or images. What it computes does not depend on the order of the samples, on how they were
divided between processes, or on whether two processes saw the same one.
"""

from collections.abc import Sequence

import numpy as np

from mobilevit.datasets.box_target import Boxes
from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import Metric, Outputs, Places
from mobilevit.tasks.detection import coco_scores
from mobilevit.tasks.detection.result import COUNTED_FROM, MAX_DETECTIONS, SCORE_THRESHOLD, choose
from mobilevit.tasks.detection.scores import DetectionScores, Record, score
from mobilevit.tasks.outputs import require_finite


class DetectionMetric:
    """Takes "boxes" (B, A, 4) and "scores" (B, A, K), and true boxes. MissingExtraError without the extra
    `detect`. Mistakes are those of the boxes above `score_threshold`; average precision takes no notice of it."""

    def __init__(self, classes: Sequence[ClassLabel], score_threshold: float = SCORE_THRESHOLD) -> None:
        coco_scores.require()
        self.classes, self.score_threshold = tuple(classes), score_threshold
        self._records: dict[int, Record] = {}

    def update(self, outputs: Outputs, targets: Sequence[Boxes], indices: Places) -> None:
        require_finite(outputs.values())
        for boxes, scores, truth, index in zip(
            outputs["boxes"], outputs["scores"], targets, indices.tolist(), strict=True
        ):
            found = choose(boxes, scores, COUNTED_FROM, MAX_DETECTIONS)
            pixels = found.boxes * np.array(truth.size * 2, np.float32)
            self._records[index] = Record(truth, pixels, found.scores, found.labels)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, DetectionMetric)
        assert other.classes == self.classes
        self._records |= other._records

    def compute(self) -> DetectionScores:
        return score(dict(sorted(self._records.items())), self.classes, self.score_threshold)

    def resampled(self, places: Places) -> DetectionScores:
        indices = sorted(self._records)
        chosen = [self._records[indices[place]] for place in places.tolist()]
        return score(dict(enumerate(chosen)), self.classes, self.score_threshold)

    def worst(self, count: int) -> list[tuple[int, Outputs]]:
        """Those with the most missed and false boxes."""
        errors = {index: record.told(self.score_threshold).errors for index, record in self._records.items()}
        worst = sorted((index for index in errors if errors[index]), key=lambda index: (-errors[index], index))
        return [(index, self._outputs(index)) for index in worst[:count]]

    def examples(self, count: int) -> list[tuple[int, Outputs]]:
        """A choice by the hash of the index."""
        chosen = sorted(self._records, key=_scatter)[:count]
        return [(index, self._outputs(index)) for index in chosen]

    def _outputs(self, index: int) -> Outputs:
        """Outputs of a single image that give what was found in it: one anchor a box."""
        record = self._records[index]
        scores = np.zeros((1, len(record.scores), len(self.classes)), np.float32)
        scores[0, np.arange(len(record.scores)), record.labels] = record.scores
        shares = record.boxes / np.array(record.truth.size * 2, np.float32)
        return {"boxes": shares[None], "scores": scores}


def _scatter(index: int) -> float:
    """A fixed number for each index, spread evenly over 0-1 (multiples of the golden ratio)."""
    return index * 0.6180339887498949 % 1.0
