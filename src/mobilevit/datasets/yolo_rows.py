"""The meaning of the rows of YOLO label files.

A row is a class number and a box, center and size in normalized coordinates; or a class number and the corners of an
outline (a polygon, or a turned box), of which the box around it is taken. Keypoints may follow a box, or a score and
the number of a track. What could be two of these is an error that says how to tell them apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.annotation_records import Corners
from mobilevit.datasets.splitting import evenly
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError

BOX, POLYGON, KEYPOINTS, EXTRA = "box", "polygon", "keypoints", "extra-column"  # what is read; the last three are noted
ROUNDING = 0.01  # by which a box may leave its image, or a keypoint its box
VISIBILITY = (0.0, 1.0, 2.0)  # of a keypoint: not labeled, hidden, seen
MOST_IN_BOXES = 0.95  # of the keypoints, that lie in their boxes
LOOKED_AT = 200  # outlines that are searched for one that crosses itself
OF_TURNED_BOX = 8  # values: its corners

Table = NDArray[np.float64]  # (N, values of a row)


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A line of a label file; `values` are what follows the class number."""

    number: int
    label: int
    values: tuple[float, ...]


def parsed(number: int, line: str, where: str) -> LabelRow:
    """DataError naming `where` if the line is no class and numbers."""
    try:
        label, *values = map(float, line.split())
    except ValueError:
        raise DataError(f"{where}: '{quoted(line)}' is not a row of numbers") from None
    if not (label >= 0 and label.is_integer()):
        raise DataError(f"{where}: the class is {label:g}: a whole number from 0 is expected")
    return LabelRow(number, int(label), tuple(values))


def kind_of(rows: Sequence[tuple[float, ...]], keypoint_values: int | None, *, are_alike: bool) -> str:
    """What rows of one length are: one decision for all, since a single one may look like another kind.

    One of the kinds that are read, or of REFUSALS. `keypoint_values` is how many values the keypoints of a box are
    where that is stated; `are_alike` says that there are no rows of other lengths, plain boxes aside.
    """
    length = len(rows[0])
    if length <= 4:
        return BOX if length == 4 else "short"
    if keypoint_values is not None:
        return KEYPOINTS if length == 4 + keypoint_values else "other-pose"
    table = np.array(rows, np.float64)
    if length == 5 or (length == 6 and (_are_whole(table[:, 4:]) & (table[:, 4:] > 1)).any()):
        return _with_extra(table)
    if dimensions := _dimensions(table, are_alike=are_alike):
        is_certain = dimensions == 3 and (table[:, 6::3] == VISIBILITY[-1]).any() and _are_visibilities(table)
        return KEYPOINTS if is_certain else f"pose-{dimensions}"
    return "odd" if length % 2 else POLYGON


def _are_whole(values: Table) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values) & (values == np.floor(values)))


def _with_extra(table: Table) -> str:
    """Of boxes followed by one value or two: no corner of an outline lies beyond 1."""
    extra = table[:, 4:]
    if not _are_boxes(table) or not np.isfinite(extra).all():
        return "odd"
    return "angle" if ((extra < 0) | ((extra > 1) & ~_are_whole(extra))).any() else EXTRA


def _are_boxes(table: Table) -> bool:
    """Whether the first four values of each row are a box in its image, up to what rounding does."""
    center, side = table[:, :2], table[:, 2:4]
    return bool(((np.abs(center - 0.5) + side / 2 <= 0.5 + ROUNDING) & (side > 0)).all())


def _dimensions(table: Table, *, are_alike: bool) -> int:
    """How many values a keypoint has, 2 or 3, where the rows look like boxes with keypoints; else 0."""
    length = table.shape[1]
    has_visibilities = _are_visibilities(table)
    if has_visibilities and ((table[:, 6::3] == VISIBILITY[-1]).any() or _are_boxes(table)):
        return 3
    if not are_alike or not _are_boxes(table):  # outlines have as many corners as they need
        return 0
    could_be = [count for count in (3, 2) if (length - 4) % count == 0 and _are_points_in_boxes(table, count)]
    is_outline = length % 2 == 0 and length > 6 and not _cross_themselves(table)
    return 0 if is_outline or not could_be else could_be[0]


def _are_visibilities(table: Table) -> bool:
    """Whether every third value is a keypoint's visibility; without a 2, it could be an outline on the border."""
    return (table.shape[1] - 4) % 3 == 0 and bool(np.isin(table[:, 6::3], VISIBILITY).all())


def _are_points_in_boxes(table: Table, dimensions: int) -> bool:
    """Whether nearly all of what follows the boxes are points inside them, or at 0 0, where none is labeled."""
    points = table[:, 4:].reshape(len(table), -1, dimensions)
    center, side = table[:, None, :2], table[:, None, 2:4]
    inside = (np.abs(points[..., :2] - center) <= side / 2 + ROUNDING).all(axis=2) | (points[..., :2] == 0).all(axis=2)
    third = points[..., 2:]
    return bool(inside.mean() >= MOST_IN_BOXES and ((third >= 0) & (third <= VISIBILITY[-1])).all())


def _cross_themselves(table: Table) -> bool:
    """Whether the rows, read as outlines, have one whose sides cross: those of objects do not."""
    start = np.array(evenly(list(table), LOOKED_AT)).reshape(-1, table.shape[1] // 2, 2)
    end = np.roll(start, -1, axis=1)
    for place in range(start.shape[1]):
        first, last = start[:, place : place + 1], end[:, place : place + 1]
        is_crossed = (_side(first, last, start) * _side(first, last, end) < 0) & (
            _side(start, end, first) * _side(start, end, last) < 0
        )
        if is_crossed.any():
            return True
    return False


def _side(first: Table, last: Table, point: Table) -> Table:
    """Of the line from `first` to `last` on which a point lies: the sign tells, 0 is on it."""
    (x, y), (u, v) = np.moveaxis(last - first, -1, 0), np.moveaxis(point - first, -1, 0)
    return np.asarray(np.sign(x * v - y * u))


def place_of(row: LabelRow, kind: str) -> str:
    """What a note calls a row."""
    is_turned = kind == POLYGON and len(row.values) == OF_TURNED_BOX
    return f"line {row.number}{' (four corners, as of a rotated box)' if is_turned else ''}"


def corners(row: LabelRow, kind: str, where: str) -> Corners:
    """The box of a row, or around its outline. DataError naming `where` for what is not read."""
    values = row.values
    if kind in REFUSALS:
        raise DataError(f"{where}: {_refusal(kind, len(values))}")
    if kind != POLYGON:
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if strange := [value for value in values if not math.isfinite(value)]:  # which min and max may pass over
        return (strange[0],) * 4
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _refusal(kind: str, length: int) -> str:
    dimensions = 2 if kind == "pose-2" else 3
    points, count = (length - 4) // dimensions, length + 1
    outline = "" if length % 2 else "; or, if these are outlines, write the first corner of each once more at its end"
    return REFUSALS[kind].format(count=count, points=points, dimensions=dimensions, outline=outline)


REFUSALS = {  # kinds that are not read, and what to do
    "short": "{count} numbers: a class and four are expected, or a class and an outline",
    "odd": "{count} numbers: a class and four are expected, or a class and an outline: pairs of x and y. "
    "Remove what follows them, such as a score",
    "angle": "a class, a box and an angle: rotated boxes are read by their four corners: export it as YOLO-OBB, "
    "class x1 y1 x2 y2 x3 y3 x4 y4",
    "other-pose": "{count} numbers, which do not fit the kpt_shape of data.yaml: a class, a box and all values of the "
    "keypoints are expected: correct kpt_shape, or the rows",
    "pose-2": "looks like a pose, a box and {points} keypoints of x and y: write kpt_shape: [{points}, 2] into "
    "data.yaml{outline}",
    "pose-3": "looks like a pose, a box and {points} keypoints of x, y and visibility: write kpt_shape: [{points}, 3] "
    "into data.yaml{outline}",
}
