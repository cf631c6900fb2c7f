"""Several handwritten digits scattered over each image, with their boxes or masks: to try detection and segmentation.

The digits of validation images are none that a training image shows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.digits import SHADES, held_out, load
from mobilevit.files import make_folder, write_atomically

SIDE_PX = 160
IMAGES = {"train": 480, "val": 120}
TRIES = 60  # at a place that is free
INK = 0.35  # of full ink, from which a pixel belongs to its digit
NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Crowd:
    """How many digits an image has where there is room for them, and how high they are: fewest and most."""

    digits: tuple[int, int]
    height_px: tuple[int, int]


BOXED = Crowd((3, 6), (32, 64))
CUT_OUT = Crowd((3, 5), (56, 92))  # strokes about as wide as what one value of a map at stride 16 stands for


@dataclass(frozen=True)
class Placed:
    """A digit in an image."""

    digit: int
    left: int
    top: int
    ink: NDArray[np.float64]  # (height, width) 0-1

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns of the image that its ink covers."""
        height, width = self.ink.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of its ink, in pixels of the image."""
        rows, columns = (np.flatnonzero((self.ink > INK).any(axis=axis)) for axis in (1, 0))
        left, right = self.left + columns[0], self.left + columns[-1] + 1
        return int(left), int(self.top + rows[0]), int(right), int(self.top + rows[-1] + 1)


def write_boxes(folder: str | Path, *, seed: int = 0) -> Path:
    """Write train/ and val/ with images and `_annotations.coco.json`; `folder`. Errors as for `write_digits`."""
    folder = Path(folder)
    for split, scenes in _splits(BOXED, seed):
        target, entries = make_folder(folder / split), []
        for index, (image, placed) in enumerate(scenes):
            image.save(target / f"{index:04}.png")
            entries.append(placed)
        write_atomically(target / "_annotations.coco.json", json.dumps(_coco(entries), allow_nan=False))
    return folder


def write_masks(folder: str | Path, *, seed: int = 0) -> Path:
    """Write train/ and val/ with images/ and masks/, and classes.txt; `folder`. Errors as for `write_digits`."""
    folder = Path(folder)
    for split, scenes in _splits(CUT_OUT, seed):
        images, masks = (make_folder(folder / split / name) for name in ("images", "masks"))
        for index, (image, placed) in enumerate(scenes):
            image.save(images / f"{index:04}.png")
            _mask(placed).save(masks / f"{index:04}.png")
    write_atomically(folder / "classes.txt", "\n".join(["background", *NAMES]) + "\n")
    return folder


Scene = tuple[Image.Image, list[Placed]]


def _splits(crowd: Crowd, seed: int) -> Iterator[tuple[str, Iterator[Scene]]]:
    drawings, digits = load()
    held = held_out(digits, seed)
    for split, chosen in (("train", np.flatnonzero(~held)), ("val", np.flatnonzero(held))):
        rng = np.random.default_rng((seed, split == "val"))
        yield split, (_scene(rng, crowd, drawings[chosen], digits[chosen]) for _ in range(IMAGES[split]))


def _scene(rng: np.random.Generator, crowd: Crowd, drawings: NDArray[np.float64], digits: NDArray[np.int64]) -> Scene:
    """Dark digits of many colors on light paper, none over another."""
    placed: list[Placed] = []
    for _ in range(rng.integers(*crowd.digits, endpoint=True)):
        which, height = int(rng.integers(len(digits))), int(rng.integers(*crowd.height_px, endpoint=True))
        ink = _enlarged(drawings[which], height)
        place = _free(rng, ink.shape, placed)
        if place is not None:
            placed.append(Placed(int(digits[which]), *place, ink))
    pixels = _paper(rng)
    for item in placed:
        part = pixels[item.area]
        part += item.ink[..., None] * (rng.uniform(0, 110, 3) - part)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)), placed


def _free(rng: np.random.Generator, shape: tuple[int, ...], placed: Sequence[Placed]) -> tuple[int, int] | None:
    """Left and top of a rectangle of this (height, width) that meets no other one; None where none was found."""
    height, width = shape
    for left, top in rng.integers((SIDE_PX - width, SIDE_PX - height), size=(TRIES, 2), endpoint=True).tolist():
        if not any(
            left < other.left + other.ink.shape[1] and other.left < left + width
            and top < other.top + other.ink.shape[0] and other.top < top + height
            for other in placed
        ):  # fmt: skip
            return left, top
    return None


def _enlarged(drawing: NDArray[np.float64], height: int) -> NDArray[np.float64]:
    """(8, 8) ink of 0-16 to (height, width) of 0-1: what it covers and half a pixel of paper around it."""
    rows, columns = (np.flatnonzero(drawing.any(axis=axis)) for axis in (1, 0))
    inked = np.pad(drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / SHADES, 1)
    width = height * (inked.shape[1] - 1) // (inked.shape[0] - 1)
    image = Image.fromarray(inked.astype(np.float32))
    box = (0.5, 0.5, inked.shape[1] - 0.5, inked.shape[0] - 0.5)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, box), np.float64).clip(0, 1)


def _paper(rng: np.random.Generator) -> NDArray[np.float64]:
    """(SIDE_PX, SIDE_PX, 3): a light tint that changes from corner to corner, with grain."""
    corners = Image.fromarray(rng.integers(170, 256, (2, 2, 3), dtype=np.uint8))
    tint = np.asarray(corners.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR), np.float64)
    return tint + rng.normal(0, 5, (SIDE_PX, SIDE_PX, 1))


def _coco(scenes: Sequence[Sequence[Placed]]) -> dict[str, list[dict[str, object]]]:
    boxes = [(index, item.digit, item.box) for index, placed in enumerate(scenes) for item in placed]
    return {
        "images": [
            {"id": index, "file_name": f"{index:04}.png", "width": SIDE_PX, "height": SIDE_PX}
            for index in range(len(scenes))
        ],
        "categories": [{"id": digit, "name": name} for digit, name in enumerate(NAMES)],
        "annotations": [
            {
                "id": number,
                "image_id": index,
                "category_id": digit,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
            }
            for number, (index, digit, (left, top, right, bottom)) in enumerate(boxes)
        ],
    }


def _mask(placed: Sequence[Placed]) -> Image.Image:
    """0 for the background, 1 + digit where a digit has ink."""
    values = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    for item in placed:
        values[item.area][item.ink > INK] = 1 + item.digit
    return Image.fromarray(values)
