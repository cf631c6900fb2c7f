"""Why a detector says what it says: one box, as the anchor that it comes from sees it."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mobilevit.datasets.finding import counted
from mobilevit.errors import UsageError
from mobilevit.models.ssdlite import SSDOutput
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import ExplanationTarget, Outputs, ResultOptions
from mobilevit.tasks.detection.result import Detections, Object, decode, threshold_of

SHOWN = 5  # objects
REGION_PX = 320  # side of the map on which the box is marked


def explanation_target(outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int) -> ExplanationTarget:
    """About an object: the logit of its class over that of the background, at its anchor.

    The map is that of stage 4, on which all boxes rest: the finest of the levels.
    """
    (result,) = decode(outputs, spec, ResultOptions())
    shown, place = _among(_objects(outputs, spec, class_index), number, result)
    found = shown[place]
    anchor = _anchor(outputs, found)

    def log_odds(raw: SSDOutput) -> Tensor:
        return raw.scores[0, anchor, 1 + found.label] - raw.scores[0, anchor, 0]

    return ExplanationTarget(
        result=result,
        name=found.class_name,
        heading=_heading(result, found, threshold_of(spec)),
        score=log_odds,
        layer="backbone.stages.3",
        bars_title="objects",
        bars=tuple((each.class_name, each.score) for each in shown),
        bar=place,
        region=_region(found),
    )


def _heading(result: Detections, found: Object, threshold: float) -> str:
    explained = f"Explained: {found.class_name}  {found.score:.1%}"
    if not found.score > threshold:
        return f"{explained}, too unsure to be shown: an object takes more than {100 * threshold:g}%"
    return f"{counted(len(result.objects), 'object')}. {explained}"


def _objects(outputs: Outputs, spec: ModelSpec, class_index: int | None) -> tuple[Object, ...]:
    """Everything that looks a little like an object of the class, highest score first."""
    (everything,) = decode(outputs, spec, ResultOptions(score_threshold=0.0))
    return tuple(each for each in everything.objects if class_index in (None, each.label))


def _among(objects: tuple[Object, ...], number: int, result: Detections) -> tuple[tuple[Object, ...], int]:
    """The objects to show, the asked one among them, and its place there."""
    if not 1 <= number <= len(objects):
        raise UsageError(
            f"there is no object {number}: the image has {len(result.objects)}, and {len(objects)} that are at all "
            "likely; the highest-scoring is 1"
        )
    if number <= SHOWN:
        return objects[:SHOWN], number - 1
    return (*objects[: SHOWN - 1], objects[number - 1]), SHOWN - 1


def _anchor(outputs: Outputs, found: Object) -> int:
    """The anchor that the object was found at."""
    boxes, scores = outputs["boxes"][0], outputs["scores"][0, :, found.label]
    unlike = np.abs(boxes.clip(0, 1) - np.array(found.box_xyxy, np.float32)).sum(axis=1) + np.abs(scores - found.score)
    return int(unlike.argmin())


def _region(found: Object) -> NDArray[np.bool_]:
    """(REGION_PX, REGION_PX): inside the box."""
    region = np.zeros((REGION_PX, REGION_PX), dtype=bool)
    left, top, right, bottom = (round(side * REGION_PX) for side in found.box_xyxy)
    region[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return region
