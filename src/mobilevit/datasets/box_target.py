"""The detection target of one image: boxes, their classes, and which of them count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNREADABLE = (0, 0)  # the size of an image that cannot be read; it has no boxes, and the doctor speaks of it


@dataclass(frozen=True, eq=False)
class Boxes:
    """The objects of an image. Two are equal where every value is; nobody changes the arrays."""

    boxes: NDArray[np.float32]  # (N, 4) left, top, right, bottom in pixels of the upright image
    labels: NDArray[np.int64]  # (N,) class indices
    ignore: NDArray[
        np.bool_
    ]  # (N,) crowds and difficult objects: neither learned nor counted for or against a detector
    size: tuple[int, int]  # (width, height) of the image in pixels; UNREADABLE where it cannot be read

    @classmethod
    def of(cls, boxes: ArrayLike, labels: ArrayLike, size: tuple[int, int], ignore: ArrayLike | None = None) -> "Boxes":
        """From anything that NumPy understands; an empty list is an image without objects."""
        rows = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        ignored = np.zeros(len(rows), dtype=bool) if ignore is None else np.asarray(ignore, dtype=bool).reshape(-1)
        return cls(rows, np.asarray(labels, dtype=np.int64).reshape(-1), ignored, size)

    def __post_init__(self) -> None:
        count = len(self.boxes)
        assert self.boxes.shape == (count, 4) and self.boxes.dtype == np.float32, "boxes are (N, 4) float32"
        assert self.labels.shape == (count,) and self.labels.dtype == np.int64, "labels are (N,) int64"
        assert self.ignore.shape == (count,) and self.ignore.dtype == np.bool_, "ignore is (N,) bool"

    def __len__(self) -> int:
        return len(self.boxes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Boxes):
            return NotImplemented
        return self.size == other.size and self._bytes() == other._bytes()

    def __hash__(self) -> int:
        return hash((self.size, self._bytes()))

    @property
    def areas(self) -> NDArray[np.float32]:
        """(N,) in square pixels; zero where a box has none."""
        width, height = (self.boxes[:, 2:] - self.boxes[:, :2]).T
        return np.where((width > 0) & (height > 0), width * height, np.float32(0))

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> "Boxes":
        """Those that a mask or indices choose."""
        return replace(self, boxes=self.boxes[which], labels=self.labels[which], ignore=self.ignore[which])

    def counted(self) -> "Boxes":
        """Those that are not to be ignored."""
        return self.chosen(~self.ignore)

    def clipped(self) -> "Boxes":
        """The same number of boxes, none beyond the image; one that lies outside becomes empty."""
        return replace(self, boxes=np.clip(self.boxes, 0, np.array(self.size * 2, dtype=np.float32)))

    def relabeled(self, mapping: Sequence[int]) -> "Boxes":
        """With class i replaced by class mapping[i]."""
        return replace(self, labels=np.asarray(mapping, dtype=np.int64)[self.labels])

    def class_counts(self) -> Mapping[int, int]:
        """How often each class occurs among those that are not to be ignored."""
        found, counts = np.unique(self.labels[~self.ignore], return_counts=True)
        return dict(zip(found.tolist(), counts.tolist(), strict=True))

    def _bytes(self) -> tuple[bytes, ...]:
        """0.0 added: the negative zero has other bytes than the positive one."""
        return (self.boxes + 0.0).tobytes(), self.labels.tobytes(), self.ignore.tobytes()
