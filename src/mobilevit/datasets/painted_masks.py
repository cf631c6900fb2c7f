"""Masks without files: COCO outlines, painted on demand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from mobilevit.datasets.mask_target import IGNORED, Classes, Mask, decoded
from mobilevit.datasets.polygons import filled
from mobilevit.datasets.runs import Where, mask_of
from mobilevit.images import decoding

Size = tuple[int, int]  # width, height


@dataclass(frozen=True, eq=False)
class Outlined:
    """One object: polygons that are joined, or runs."""

    value: int  # of its pixels; IGNORED for a crowd
    polygons: Sequence[NDArray[np.float32]] = ()  # each (N, 2) corners in pixels
    runs: NDArray[np.int64] | None = None

    def where(self, size: Size) -> Where:
        """(H, W)"""
        if self.runs is not None:
            return mask_of(self.runs.tolist(), size)
        parts = [filled(points.astype(np.float64), size) for points in self.polygons]
        return np.asarray(np.any(parts, axis=0))


@dataclass(frozen=True, eq=False)
class PaintedMask(Mask):
    """A mask whose pixels have the values of the objects that they lie in; `path` is the file that outlines them.

    Crowds lie below all others, and of others the smaller above the larger: a tie over the person who wears it.
    """

    objects: tuple[Outlined, ...]
    stated_size: Size | None  # of the image; None: it is asked
    unlabeled: int  # the value of pixels that no object has

    @property
    def files(self) -> tuple[()]:
        return ()

    @property
    def name(self) -> str:
        return f"{self.path}: the mask of {self.image.name}"

    @property
    def size(self) -> Size:
        with decoding.opened(self.image) as source:
            stored, upright = source.image.size, source.header.size
        return upright if self.stated_size in (None, stored) else self.stated_size or upright

    def read(self) -> Classes:
        with decoding.opened(self.image) as source:
            stored, upright = source.image.size, source.header.size
            orientation = source.image.getexif().get(ExifTags.Base.Orientation, 1) if stored != upright else 1
        size = self.stated_size or upright
        values = self._painted(size)
        if size == stored != upright:  # the image was outlined as it is stored, before EXIF turns it
            values = np.asarray(Image.fromarray(values).transpose(decoding.UPRIGHT[orientation]))
        return decoded(values, self.coding)

    def _painted(self, size: Size) -> Classes:
        values = np.full(size[::-1], self.unlabeled, np.uint8)
        places = [one.where(size) for one in self.objects]
        order = sorted(
            range(len(places)), key=lambda index: (self.objects[index].value != IGNORED, -places[index].sum())
        )
        for index in order:
            values[places[index]] = self.objects[index].value
        return values
