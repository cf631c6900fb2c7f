"""Above which score a detector tells an object: what every threshold gives on some images, and the best of them.

Over the boxes of all classes together, as a prediction shows them. Average precision knows nothing of this.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mobilevit.errors import DataError
from mobilevit.spec import Criterion, ScoreThreshold
from mobilevit.tasks.detection.error_types import Comparison, Verdict
from mobilevit.tasks.detection.result import COUNTED_FROM

Shares = NDArray[np.float64]


class Curve(NamedTuple):
    """What telling the boxes from each of N scores on gives, the highest first; without those that tell nothing."""

    scores: NDArray[np.float32]  # (N,) of boxes, each once
    precision: Shares  # (N,) of the boxes told, the share that is right
    recall: Shares  # (N,) of the objects that are there, the share found

    @property
    def f1(self) -> Shares:
        """(N,) harmonic mean of the two."""
        return 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, 1e-12)

    def at(self, threshold: float) -> tuple[float, float] | None:
        """Precision and recall of any threshold; None where nothing is told above it."""
        place = int((self.scores > threshold).sum()) - 1
        return None if place < 0 else (float(self.precision[place]), float(self.recall[place]))

    def threshold(self, place: int) -> float:
        """What the score at that place and all before it are above, and no other: near the middle between it and the
        next one, with as few digits as can be."""
        low, score = np.append(self.scores, np.float32(COUNTED_FROM))[[place + 1, place]]
        middle = (float(low) + float(score)) / 2
        rounded = (round(middle, digits) for digits in range(1, 9))
        return next((number for number in rounded if low <= np.float32(number) < score), float(low))


def curve(found: Iterable[tuple[NDArray[np.float32], Comparison]]) -> Curve:
    """Of the scores (N,) of each image's boxes and their comparison with what is there."""
    pairs = list(found)
    scores = np.concatenate([np.empty(0, np.float32), *(scores for scores, _ in pairs)])
    verdicts = np.concatenate([np.empty(0, np.int8), *(comparison.verdicts for _, comparison in pairs)])
    objects = sum(comparison.objects for _, comparison in pairs)
    values, places = np.unique(-scores, return_inverse=True)
    right, told = (
        np.bincount(places, mask, minlength=len(values)).cumsum()
        for mask in (verdicts == Verdict.RIGHT, verdicts != Verdict.IGNORED)
    )
    some = told > 0
    return Curve(-values[some], right[some] / told[some], right[some] / max(objects, 1))


def best(curve: Curve, criterion: Criterion) -> ScoreThreshold | None:
    """The threshold that meets the criterion best, of equal ones the highest; None where no box is right.

    DataError where none meets it, with the best that can be had.
    """
    if not curve.recall.any():
        return None
    goal, asked = {
        "f1": (curve.f1, curve.f1),
        "precision": (curve.recall, curve.precision),
        "recall": (curve.precision, curve.recall),
    }[criterion.name]
    meets = asked >= criterion.least
    if not meets.any():
        place = int(asked.argmax())
        raise DataError(
            f"no score threshold has a {criterion.name} of {criterion.least:g}: the best that can be had is "
            f"{_floor(asked[place])}, above a score of {curve.threshold(place):g}"
        )
    place = int(np.where(meets, goal, -1.0).argmax())
    precision, recall = float(curve.precision[place]), float(curve.recall[place])
    return ScoreThreshold(curve.threshold(place), str(criterion), precision, recall)


def _floor(share: np.float64) -> str:
    """Rounded down, so that it can be asked for."""
    return f"{np.floor(share * 1000) / 1000:g}"
