"""COCO's average precision, by faster-coco-eval: the one place that knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.errors import MissingExtraError

Curve = NDArray[np.float64]
RECALLS = np.linspace(0, 1, 101)  # at which precision is read
AT_50, AT_75 = 0, 5  # places of IoU .50 and .75 among the ten from .50 to .95


def require() -> None:
    """MissingExtraError where faster-coco-eval is not installed."""
    if find_spec("faster_coco_eval") is None:
        raise MissingExtraError('scoring a detector needs faster-coco-eval: pip install "mobilevit[detect]"')


@dataclass(frozen=True)
class CocoScores:
    """For ten IoUs from .50 to .95 and K classes; NaN where a class has no boxes."""

    precision: Curve  # (10, 101, K) at RECALLS
    confidence: Curve  # (101, K) at which IoU .50 has that recall; 0 beyond the last
    recall: Curve  # (10, K) of the hundred highest-scoring boxes an image
    by_size: Mapping[str, float]  # mean average precision of small, medium and large boxes, as far as there are such

    @property
    def ap(self) -> Curve:
        """(10, K) average precision."""
        return np.asarray(self.precision.mean(axis=1))


def evaluate(
    images: Sequence[dict[str, Any]],
    truths: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    num_classes: int,
) -> CocoScores:
    """Images, annotations and results as COCO's JSON has them; categories are 1 to `num_classes`."""
    from faster_coco_eval import COCO, COCOeval_faster

    categories = [{"id": label + 1} for label in range(num_classes)]
    truth = COCO({"images": images, "annotations": truths, "categories": categories})
    numbered = [
        {**box, "id": place, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
        for place, box in enumerate(found, start=1)
    ]
    evaluation = COCOeval_faster(
        truth, COCO({"images": images, "annotations": numbered, "categories": categories}), "bbox"
    )
    evaluation.evaluate()
    evaluation.accumulate()
    precision, scores, recall = (_defined(evaluation.eval[name]) for name in ("precision", "scores", "recall"))
    sizes = {
        size: float(np.nanmean(precision[:, :, :, place, -1]))
        for place, size in enumerate(("small", "medium", "large"), start=1)
        if not np.isnan(precision[:, :, :, place, -1]).all()
    }
    return CocoScores(precision[:, :, :, 0, -1], scores[AT_50, :, :, 0, -1], recall[:, :, 0, -1], sizes)


def _defined(values: NDArray[np.float64]) -> Curve:
    return np.where(values < 0, np.nan, values)
