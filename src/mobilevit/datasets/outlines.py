"""Bounding boxes of outlines and masks in annotation files: polygons, and COCO's run-length encoding."""

import math
from collections.abc import Iterator, Mapping, Sequence

from mobilevit.datasets.annotation_records import Corners


def around_points(points: Sequence[object]) -> Corners | None:
    """Of (x, y) pairs, or of x and y in turn; None where they are no numbers, or none."""
    flat = [value for point in points for value in (point if isinstance(point, (list, tuple)) else (point,))]
    if not flat or len(flat) % 2 or not all(map(is_number, flat)):
        return None
    x, y = [as_float(value) for value in flat[::2]], [as_float(value) for value in flat[1::2]]
    strange = [value for value in (*x, *y) if not math.isfinite(value)]  # which min and max may pass over
    return (strange[0],) * 4 if strange else (min(x), min(y), max(x), max(y))


def around_segmentation(segmentation: object) -> Corners | None:
    """Of COCO's `segmentation`: polygons [[x, y, x, y, ...], ...] or a mask {"size": [h, w], "counts": runs}."""
    if isinstance(segmentation, list):
        parts = segmentation if all(isinstance(part, list) for part in segmentation) else [segmentation]
        boxes = [around_points(part) for part in parts if part]
        return _joined([box for box in boxes if box is not None]) if boxes and None not in boxes else None
    if isinstance(segmentation, Mapping):
        return _around_runs(segmentation)
    return None


def _joined(boxes: Sequence[Corners]) -> Corners:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _around_runs(mask: Mapping[str, object]) -> Corners | None:
    """Of runs of 0 and 1 in turn, down the columns; the pixels are counted from 0, and each covers one."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        return None
    runs = unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        return None
    height, start = size[0], 0
    boxes: list[Corners] = []
    for number, run in enumerate(runs):
        if number % 2 and run:
            boxes.append(_around_run(start, start + run - 1, height))
        start += run
    return _joined(boxes) if boxes and start <= size[0] * size[1] else None


def _around_run(first: int, last: int, height: int) -> Corners:
    """Of the pixels `first` to `last`; a run that goes on in the next column covers a column's whole height."""
    left, right = first // height, last // height
    top, bottom = (first % height, last % height) if left == right else (0, height - 1)
    return left, top, right + 1, bottom + 1


def unpacked(text: str) -> list[int]:
    """COCO's packed runs: 6 bits a character, 5 of them a digit, lowest first; from the fourth on differences to the
    last but one."""
    runs: list[int] = []
    for value in _numbers(text):
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _numbers(text: str) -> Iterator[int]:
    value, shift = 0, 0
    for character in text:
        digit = ord(character) - 48
        if shift > 60 or not 0 <= digit < 64:
            yield -1  # no run is that long: the caller refuses it
            return
        value |= (digit & 0x1F) << shift
        shift += 5
        if not digit & 0x20:  # the last digit: its highest bit is the sign
            yield value - (1 << shift) if digit & 0x10 else value
            value, shift = 0, 0


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_float(value: object) -> float:
    """A number as a float; a whole number too large for one is as good as infinite."""
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
