"""How far two detectors say the same: the objects that both find."""

import numpy as np
from numpy.typing import NDArray

from mobilevit.boxes import iou
from mobilevit.tasks.base import Outputs
from mobilevit.tasks.detection.result import MAX_DETECTIONS, Chosen, choose

SAME = 0.9  # IoU from which two boxes of a class are the same object


def matched(outputs: Outputs, reference: Outputs, score_threshold: float) -> NDArray[np.float32]:
    """(B,) of each image the share of the objects of both that have a partner; 1 where neither finds any."""
    pairs = [
        [
            choose(boxes, scores, score_threshold, MAX_DETECTIONS)
            for boxes, scores in zip(said["boxes"], said["scores"], strict=True)
        ]
        for said in (outputs, reference)
    ]
    return np.array([_share(mine, theirs) for mine, theirs in zip(*pairs, strict=True)], np.float32)


def _share(mine: Chosen, theirs: Chosen) -> float:
    """Each object of mine takes its best partner, those of highest score first."""
    count = len(mine.labels) + len(theirs.labels)
    if count == 0:
        return 1.0
    overlaps = iou(mine.boxes, theirs.boxes) * (mine.labels[:, None] == theirs.labels)
    found = 0
    for row in overlaps:
        if len(row) and row.max() >= SAME:
            overlaps[:, row.argmax()] = 0
            found += 1
    return 2 * found / count
