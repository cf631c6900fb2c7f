"""What a detector says about one image."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mobilevit.boxes import by_class, by_score, nms
from mobilevit.spec import ClassLabel, ModelSpec
from mobilevit.tasks.base import Outputs, ResultOptions

SCORE_THRESHOLD = 0.3  # above which an object is told, unless the model has its own or it is asked otherwise
COUNTED_FROM = 0.01  # score of a box that counts for average precision, which asks for the unlikely ones too
MAX_DETECTIONS = 100  # objects of an image, unless asked otherwise
PRE_NMS_TOP_K = 400  # boxes of a class that are compared with each other, those of the best scores
IOU_THRESHOLD = 0.5  # IoU above which the worse of two boxes of a class is taken for the same object
COLUMNS = (
    "source",
    "width",
    "height",
    "class_name",
    "class_id",
    "score",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
)  # of records


class Object(NamedTuple):
    """One object: its class, the confidence of the model, and its bounding box."""

    class_id: str
    class_name: str
    score: float  # 0-1
    box_xyxy: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the original image
    label: int  # index of the class among those of the model


@dataclass(frozen=True)
class Detections:
    """The objects of one image, highest score first."""

    objects: tuple[Object, ...]
    source: str = "<array>"  # a path or a URL, where the image has one
    size: tuple[int, int] = (1, 1)  # (width, height) in pixels; until it is known, boxes are in normalized coordinates

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) left, top, right, bottom of the objects, in pixels."""
        return np.array([found.box_xyxy for found in self.objects], np.float32).reshape(-1, 4)

    def of(self, source: str, size: tuple[int, int]) -> Self:
        """The same objects in the image at `source`: the boxes grow with its size."""
        x, y = size[0] / self.size[0], size[1] / self.size[1]
        objects = tuple(
            found._replace(
                box_xyxy=(found.box_xyxy[0] * x, found.box_xyxy[1] * y, found.box_xyxy[2] * x, found.box_xyxy[3] * y)
            )
            for found in self.objects
        )
        return replace(self, objects=objects, source=source, size=size)

    def to_dict(self) -> dict[str, Any]:
        width, height = self.size
        objects = [
            {
                "class_id": found.class_id,
                "class_name": found.class_name,
                "score": round(found.score, 6),
                "box_xyxy": [round(side, 2) for side in found.box_xyxy],
            }
            for found in self.objects
        ]
        return {"source": self.source, "width": width, "height": height, "objects": objects}

    def row(self) -> dict[str, str]:
        """How many objects of which class, the commonest first."""
        counts = Counter(found.class_name for found in self.objects)
        found = ", ".join(f"{count} x {name}" for name, count in counts.most_common())
        return {"image": self.source, "objects": str(len(self.objects)), "found": found or "no objects"}

    def records(self) -> list[dict[str, Any]]:
        """A row an object; none for an image without."""
        image = self.source, *self.size
        rows = [
            (
                *image,
                found.class_name,
                found.class_id,
                round(found.score, 6),
                *(round(side, 2) for side in found.box_xyxy),
            )
            for found in self.objects
        ]
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def mask(self) -> Image | None:
        """None: a detector knows boxes, not pixels."""
        return None


def decode(outputs: Outputs, spec: ModelSpec, limits: ResultOptions) -> list[Detections]:
    """The objects of each image, for "boxes" (B, A, 4) in shares of it and "scores" (B, A, K) of the K classes."""
    threshold = threshold_of(spec) if limits.score_threshold is None else limits.score_threshold
    return [
        _detections(choose(boxes, scores, threshold, limits.top_k or MAX_DETECTIONS), spec.classes)
        for boxes, scores in zip(outputs["boxes"], outputs["scores"], strict=True)
    ]


def threshold_of(spec: ModelSpec) -> float:
    """The score above which a model tells an object: its own, or that of every detector."""
    return SCORE_THRESHOLD if spec.score_threshold is None else spec.score_threshold.value


class Chosen(NamedTuple):
    """Objects of an image, highest score first."""

    boxes: NDArray[np.float32]  # (N, 4) corners in normalized coordinates, clipped to it
    scores: NDArray[np.float32]  # (N,)
    labels: NDArray[np.int64]  # (N,) class indices


def choose(boxes: NDArray[np.float32], scores: NDArray[np.float32], score_threshold: float, top_k: int) -> Chosen:
    """The objects among the anchors (A, 4) corners and (A, K) scores of an image.

    Of each class the PRE_NMS_TOP_K highest-scoring anchors above `score_threshold` go into non-maximum suppression; of
    all that are left the `top_k` highest-scoring are kept. Of equal scores the first anchor counts as the better.
    """
    anchors, labels = np.nonzero(scores > score_threshold)
    best = _best_of_each_class(scores[anchors, labels], labels)
    anchors, labels = anchors[best], labels[best]
    places, sure = boxes[anchors], scores[anchors, labels]
    kept = nms(places, sure, labels, IOU_THRESHOLD)[:top_k]
    inside = places[kept].clip(0, 1)
    not_empty = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    kept, inside = kept[not_empty], inside[not_empty]
    return Chosen(inside, sure[kept], labels[kept])


def _best_of_each_class(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the candidates, (N,) both, are among the PRE_NMS_TOP_K best of their class; in their order."""
    order = by_score(scores)
    grouped, starts, sizes = by_class(labels[order])
    place = np.arange(len(order)) - np.repeat(starts, sizes)  # within the class
    return np.sort(order[grouped[place < PRE_NMS_TOP_K]])


def _detections(chosen: Chosen, classes: Sequence[ClassLabel]) -> Detections:
    rows = zip(chosen.boxes.tolist(), chosen.scores.tolist(), chosen.labels.tolist(), strict=True)
    return Detections(
        tuple(
            Object(classes[label].id, classes[label].name, score, (left, top, right, bottom), label)
            for (left, top, right, bottom), score, label in rows
        )
    )
