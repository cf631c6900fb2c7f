"""Annotated boxes to boxes in pixels of the upright image; invalid ones are dropped and counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags

from mobilevit.datasets.annotation_records import Annotation, Size
from mobilevit.datasets.box_target import UNREADABLE, Boxes
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.sample import Sample
from mobilevit.errors import ImageError
from mobilevit.images import decoding
from mobilevit.images.threads import in_threads

ROUNDING_PX = 1.0  # a box that reaches so far beyond its image was rounded, and is no mistake worth a word
FARTHEST_SHARE = 2.0  # of a side, beyond which a corner that should be a share of it is one in pixels
SHAPE_TOLERANCE = 0.01  # by which the aspect of an image changes where it is resized to whole pixels

Corners = NDArray[np.float64]  # (N, 4) left, top, right, bottom


def meet(annotations: Sequence[Annotation], notes: Repairs) -> tuple[Sample, ...]:
    """A sample for each annotated image that exists. Reads the headers of all images: about 7,000 a second.

    An image that exists and cannot be read stays, without boxes: the doctor speaks of it.
    """
    found = in_threads(_look, [annotation.image for annotation in annotations])
    samples = []
    for annotation, image in zip(annotations, found, strict=True):
        if image is None:
            notes.add("missing-image", annotation.where)
        else:
            samples.append(Sample(annotation.image, _boxes(annotation, image, notes)))
    return tuple(samples)


@dataclass(frozen=True, slots=True)
class _Image:
    size: Size  # upright
    orientation: int = 1  # of EXIF, asked for where the stored size differs


def _look(path: Path) -> _Image | None:
    """None where there is no such file."""
    try:
        with decoding.opened(path) as opened:
            size = opened.header.size
            is_turned = size != opened.image.size
            return _Image(size, opened.image.getexif()[ExifTags.Base.Orientation] if is_turned else 1)
    except ImageError:
        return _Image(UNREADABLE) if path.exists() else None


def _boxes(annotation: Annotation, image: _Image, notes: Repairs) -> Boxes:
    size = image.size
    boxes = Boxes.of([], [], size)
    if size == UNREADABLE:
        return boxes
    if annotation.boxes:
        with np.errstate(invalid="ignore", over="ignore"):  # a box may say that it is infinite, or no number
            boxes = _mended(np.array(annotation.boxes, dtype=np.float64), annotation, image, notes)
    notes.add("no-objects", annotation.image, not len(boxes))
    return boxes


def _mended(corners: Corners, annotation: Annotation, image: _Image, notes: Repairs) -> Boxes:
    size = image.size
    if annotation.in_shares:
        corners = corners * np.array(size * 2)
    else:
        corners = _in_this_image(corners, annotation, image, notes)
    boxes = Boxes.of(np.clip(corners, 0, size * 2), annotation.labels, size, annotation.ignore)
    return boxes.chosen(_kept(corners, boxes, annotation, notes))


def _in_this_image(corners: Corners, annotation: Annotation, image: _Image, notes: Repairs) -> Corners:
    """Boxes of an image of the stated size, made to fit the one that is there, if it is clear how."""
    stated, size = annotation.size, image.size
    if stated is None or stated == size:
        return corners
    inside = bool((corners[:, 2:] <= np.array(stated) + ROUNDING_PX).all())
    if stated == size[::-1] and image.orientation in TURNS:
        notes.add("turned", annotation.where)
        return _turned(corners, stated, image.orientation)
    if inside and abs(stated[0] * size[1] / (stated[1] * size[0]) - 1) <= SHAPE_TOLERANCE:
        notes.add("scaled", annotation.where)
        factors: Corners = np.array(size * 2) / np.array(stated * 2)
        return corners * factors
    notes.add("size", annotation.where)
    return corners


TURNS = {5: (False, False), 6: (True, False), 7: (True, True), 8: (False, True)}  # whether x, y then count backwards


def _turned(corners: Corners, stored: Size, orientation: int) -> Corners:
    """From the stored image to the upright one: x and y change places, and count backwards where TURNS says."""
    left, top, right, bottom = corners.T
    width, height = stored[::-1]
    backwards_x, backwards_y = TURNS[orientation]
    x = (width - bottom, width - top) if backwards_x else (top, bottom)
    y = (height - right, height - left) if backwards_y else (left, right)
    return np.stack([x[0], y[0], x[1], y[1]], axis=1)


def _kept(stated: Corners, boxes: Boxes, annotation: Annotation, notes: Repairs) -> NDArray[np.bool_]:
    """(N,) which boxes are some; `stated` are those before clipping."""
    size = np.array(boxes.size * 2)
    has_area = (stated[:, 2:] > stated[:, :2]).all(axis=1) & np.isfinite(stated).all(axis=1)
    first = np.zeros(len(boxes), dtype=bool)
    first[np.unique(np.column_stack([boxes.boxes, boxes.labels]), axis=0, return_index=True)[1]] = True
    kept = np.ones(len(boxes), dtype=bool)
    for kind, is_none in (
        ("degenerate-box", ~has_area),
        ("pixel-box", annotation.in_shares & (stated > FARTHEST_SHARE * size).any(axis=1)),
        ("outside-box", boxes.areas <= 0),
        ("duplicate-box", ~first),
    ):
        _note(kind, kept & is_none, stated, annotation, notes)
        kept &= ~is_none
    reaches_out = np.abs(stated - np.clip(stated, 0, size)).max(axis=1) > ROUNDING_PX
    _note("clipped-box", kept & reaches_out, stated, annotation, notes)
    return kept


def _note(kind: str, which: NDArray[np.bool_], stated: Corners, annotation: Annotation, notes: Repairs) -> None:
    reason = _why_degenerate if kind == "degenerate-box" else lambda _: ""
    indices = np.flatnonzero(which).tolist()
    places = (f"{annotation.place(index)}{reason(stated[index])}" for index in indices)
    notes.add(kind, annotation.where, len(indices), places)


def _why_degenerate(corners: Corners) -> str:
    """Of one box, (4,)."""
    if np.isnan(corners).any():
        return " (not a number)"
    if np.isinf(corners).any():
        return " (infinite)"
    return " (negative width or height)" if (corners[2:] < corners[:2]).any() else " (no area)"
