"""Anchors that fit a dataset's boxes, and what a set of anchors cannot reach in it.

How many anchors each level has is part of the model; what can be chosen is their sizes.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mobilevit.boxes import corners, iou
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.finding import Finding, listed
from mobilevit.datasets.sample import Dataset
from mobilevit.models.anchor_sizes import PAPER_SIZES, AnchorSizes
from mobilevit.models.anchors import anchors_of
from mobilevit.tasks.detection.matching import THRESHOLD

ENOUGH = 10  # boxes for each anchor of a level, below which it keeps the paper's


def fitted(targets: Sequence[Boxes]) -> AnchorSizes:
    """The sizes of anchors for the boxes of training images; they do not depend on chance.

    Each level takes the boxes of its own size, between the geometric means of neighboring levels' sizes in the paper,
    and gets the centers of as many groups of them as it has anchors (k-means over the logarithms of width and height,
    in normalized coordinates). A level with few boxes keeps the paper's.
    """
    logs = np.log(_sizes(targets))
    level = np.searchsorted(_borders(), logs.mean(axis=1))
    return tuple(
        _anchors(logs[level == place], paper) if (level == place).sum() >= ENOUGH * len(paper) else paper
        for place, paper in enumerate(PAPER_SIZES)
    )


def _sizes(targets: Sequence[Boxes]) -> NDArray[np.float64]:
    """(N, 2) widths and heights of all boxes that count, in shares of their images."""
    counted = [target.counted() for target in targets]
    shares = [(boxes.boxes[:, 2:] - boxes.boxes[:, :2]) / boxes.size for boxes in counted]
    sizes = np.concatenate([np.empty((0, 2)), *shares])
    return np.asarray(sizes[(sizes > 0).all(axis=1)])


def _borders() -> NDArray[np.float64]:
    """(5,): log of the size, the root of the area, where a level ends and the next begins."""
    smallest = np.log([level[0][0] for level in PAPER_SIZES])
    return np.asarray((smallest[1:] + smallest[:-1]) / 2)


def _anchors(logs: NDArray[np.float64], paper: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    centers = np.exp(_k_means(logs, len(paper))).clip(max=1.0).round(DIGITS)
    width, height = centers[centers.prod(axis=1).argsort(kind="stable")].T.tolist()
    return tuple(zip(width, height, strict=True))


DIGITS = 4  # a 30th of a pixel at 320


def _k_means(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(count, 2) centers for (N, 2) points. Begins with the point nearest to the mean, then always the one farthest
    from those chosen; so a rare group far from the others gets a center of its own."""
    centers = _first_centers(points, count)
    nearest = np.full(len(points), -1)
    for _ in range(MAX_ROUNDS):
        before, nearest = nearest, _squares(points, centers).argmin(axis=1)
        if np.array_equal(before, nearest):
            break
        centers = np.array(
            [points[nearest == k].mean(axis=0) if (nearest == k).any() else centers[k] for k in range(count)]
        )
    return centers


MAX_ROUNDS = 300


def _first_centers(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    centers = points[[_squares(points, points.mean(axis=0, keepdims=True)).argmin()]]
    while len(centers) < count:
        farthest = _squares(points, centers).min(axis=1).argmax()
        centers = np.concatenate([centers, points[[farthest]]])
    return centers


def _squares(points: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, count) squared distances."""
    return np.asarray(((points[:, None] - centers) ** 2).sum(axis=2))


def unreached(targets: Sequence[Boxes], num_classes: int, sizes: AnchorSizes, image_size: int) -> list[float | None]:
    """For each class the share of its boxes that no anchor overlaps by THRESHOLD, 0-1; None for a class without boxes.

    Such a box still gets its best anchor in training, a single one; so it is learned late and found badly. `sizes` are
    the anchors', `image_size` is the side of the model's images. Of very many boxes an even choice.
    """
    boxes, labels = _shares(targets)
    anchors = corners(anchors_of(sizes, _maps(image_size)).numpy())
    pieces = [boxes[start : start + PIECE] for start in range(0, len(boxes), PIECE)]
    best = np.concatenate([np.empty(0, np.float32), *(iou(piece, anchors).max(axis=1) for piece in pieces)])
    missed = best < THRESHOLD
    counts = np.bincount(labels, minlength=num_classes)
    lost = np.bincount(labels, missed, minlength=num_classes)
    return [float(part / count) if count else None for part, count in zip(lost, counts, strict=True)]


PIECE = 64  # boxes that are compared with all anchors at once
MOST = 5_000  # boxes that are looked at


def _shares(targets: Sequence[Boxes]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(N, 4) corners in normalized coordinates and (N,) labels of the boxes that count, of MOST at most."""
    counted = [target.counted() for target in targets]
    scaled = [boxes.boxes / np.array(boxes.size * 2, np.float32) for boxes in counted]
    boxes = np.concatenate([np.empty((0, 4), np.float32), *scaled])
    labels = np.concatenate([np.empty(0, np.int64), *(boxes.labels for boxes in counted)])
    step = -(-len(labels) // MOST) or 1
    return boxes[::step], labels[::step]


def _maps(image_size: int) -> list[torch.Tensor]:
    """Maps of the extents that the model's levels have for images of that side, without a value in them."""
    sides = [-(-image_size // stride) for stride in (16, 32, 64, 128, 256)]
    return [torch.empty(1, 0, side, side) for side in (*sides, 1)]


def reach_findings(dataset: Dataset, image_size: int) -> Iterator[Finding]:
    """Classes with many boxes beyond the reach of the paper's anchors at `image_size`, and what would help."""
    targets, count = [sample.target for sample in dataset.splits["train"]], len(dataset.classes)
    beyond = {f"at {image_size} px": unreached(targets, count, PAPER_SIZES, image_size)}
    many = [k for k, share in enumerate(beyond[f"at {image_size} px"]) if share is not None and share >= MANY]
    if not many:
        return
    sizes = fitted(targets)
    for px, option in (
        (image_size, "with --anchors data"),
        *((px, f"with them at {px} px") for px in _larger(image_size)),
    ):
        beyond[option] = unreached(targets, count, sizes, px)
    shares = [
        f"{dataset.classes[k].name} ({', '.join(f'{of_class[k]:.0%} {option}' for option, of_class in beyond.items())})"
        for k in many
    ]
    message = "boxes that no anchor overlaps by half are learned late and found badly: share of "
    yield Finding("warning", "reach", message + listed(shares, 3))


MANY = 0.1  # of a class


def _larger(image_size: int) -> tuple[int, int]:
    """A third and two thirds more, in whole patches of the model."""
    return 32 * round(1.3 * image_size / 32), 32 * round(1.6 * image_size / 32)
