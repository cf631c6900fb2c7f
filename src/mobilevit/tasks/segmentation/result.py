"""What a segmenter says about one image."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.datasets.mask_target import Classes
from mobilevit.datasets.palette import PALETTE
from mobilevit.errors import UsageError, WeightsError
from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import ResultOptions
from mobilevit.tasks.segmentation import maps

COLUMNS = ("source", "width", "height", "class_name", "class_id", "pixels", "fraction")  # of records


class Area(NamedTuple):
    """One class and how much of the image it covers."""

    value: int  # in the mask
    class_id: str
    class_name: str
    pixels: int
    fraction: float  # of all pixels, 0-1


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The class of every pixel of an image. It keeps the map of the model, and grows it when asked."""

    coarse: Classes  # (h, w) at the model's size
    labels: tuple[ClassLabel, ...]  # all classes of the model
    source: str = "<array>"  # a path or a URL, where the image has one
    size: tuple[int, int] = (0, 0)  # (width, height) in pixels; zeros where only the model's input is known
    top_k: int | None = None  # of the areas, how many are told; None: all

    def of(self, source: str, size: tuple[int, int]) -> Self:
        return replace(self, source=source, size=size)

    @property
    def classes(self) -> Classes:
        """(H, W) uint8 indices of classes, at the size of the image; made anew each time."""
        return maps.resized(self.coarse, self._size)

    @cached_property
    def areas(self) -> tuple[Area, ...]:
        """The classes that are there, largest first."""
        pixels = maps.areas(self.coarse, self._size, len(self.labels))
        order = [index for index in np.argsort(-pixels, kind="stable").tolist() if pixels[index]]
        return tuple(
            Area(index, self.labels[index].id, self.labels[index].name, int(pixels[index]), float(share))
            for index in order[: self.top_k]
            for share in [pixels[index] / pixels.sum()]
        )

    @property
    def _size(self) -> tuple[int, int]:
        height, width = self.coarse.shape
        return self.size if all(self.size) else (width, height)

    def to_dict(self) -> dict[str, Any]:
        width, height = self.size
        areas = [area._asdict() for area in self.areas]
        return {"source": self.source, "width": width, "height": height, "areas": areas}

    def row(self) -> dict[str, str]:
        first, *others = (f"{area.class_name} {area.fraction:.1%}" for area in self.areas)
        row = {"image": self.source, "largest": first}
        return {**row, "then": ", ".join(others)} if others else row

    def records(self) -> list[dict[str, Any]]:
        """One row a class that is there."""
        rows = [
            (self.source, *self.size, area.class_name, area.class_id, area.pixels, round(area.fraction, 6))
            for area in self.areas
        ]
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def mask(self) -> Image.Image:
        """A palette image: its indices are the classes, its colors Pascal VOC's."""
        mask = Image.fromarray(self.classes).convert("L")
        mask.putpalette([part for color in PALETTE for part in color])
        return mask


def decode(
    classes: NDArray[np.integer[Any]], labels: tuple[ClassLabel, ...], limits: ResultOptions
) -> list[Segmentation]:
    """(B, H, W) integers, classes among K `labels`, to one result an image."""
    if len(labels) > len(PALETTE):
        raise WeightsError(f"the model has {len(labels)} classes: masks can tell {len(PALETTE)} apart")
    if limits.score_threshold is not None:
        raise UsageError("a class of a pixel has no score: leave out --score-threshold")
    return [Segmentation(coarse, labels, top_k=limits.top_k) for coarse in classes.astype(np.uint8)]
