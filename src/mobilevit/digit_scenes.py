"""Several handwritten digits scattered over each picture, with their boxes or masks: to try detection and segmentation.

The digits of validation pictures are none that a training picture shows.
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
PICTURES = {"train": 480, "val": 120}
DIGITS = (3, 6)  # fewest and most in a picture
DIGIT_PX = (32, 64)  # side of a digit's square
TRIES = 30  # at a place that is free
INK = 0.35  # of full ink, from which a pixel belongs to its digit
NAMES = tuple(str(digit) for digit in range(10))


@dataclass(frozen=True)
class Placed:
    """A digit in a picture."""

    digit: int
    left: int
    top: int
    ink: NDArray[np.float64]  # (side, side) 0-1

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of its ink, in pixels of the picture."""
        rows, columns = (np.flatnonzero((self.ink > INK).any(axis=axis)) for axis in (1, 0))
        left, right = self.left + columns[0], self.left + columns[-1] + 1
        return int(left), int(self.top + rows[0]), int(right), int(self.top + rows[-1] + 1)


def write_boxes(folder: Path, *, seed: int = 0) -> Path:
    """Write train/ and val/ with pictures and `_annotations.coco.json`; `folder`. Errors as for `write_digits`."""
    for split, scenes in _splits(seed):
        target, entries = make_folder(folder / split), []
        for index, (picture, placed) in enumerate(scenes):
            picture.save(target / f"{index:04}.png")
            entries.append(placed)
        write_atomically(target / "_annotations.coco.json", json.dumps(_coco(entries)))
    return folder


def write_masks(folder: Path, *, seed: int = 0) -> Path:
    """Write train/ and val/ with images/ and masks/, and classes.txt; `folder`. Errors as for `write_digits`."""
    for split, scenes in _splits(seed):
        pictures, masks = (make_folder(folder / split / name) for name in ("images", "masks"))
        for index, (picture, placed) in enumerate(scenes):
            picture.save(pictures / f"{index:04}.png")
            _mask(placed).save(masks / f"{index:04}.png")
    write_atomically(folder / "classes.txt", "\n".join(["background", *NAMES]) + "\n")
    return folder


Scene = tuple[Image.Image, list[Placed]]


def _splits(seed: int) -> Iterator[tuple[str, Iterator[Scene]]]:
    drawings, digits = load()
    held = held_out(digits, seed)
    for split, chosen in (("train", np.flatnonzero(~held)), ("val", np.flatnonzero(held))):
        rng = np.random.default_rng((seed, split == "val"))
        yield split, (_scene(rng, drawings[chosen], digits[chosen]) for _ in range(PICTURES[split]))


def _scene(rng: np.random.Generator, drawings: NDArray[np.float64], digits: NDArray[np.int64]) -> Scene:
    """Dark digits of many colours on light paper, none over another."""
    placed: list[Placed] = []
    for _ in range(rng.integers(DIGITS[0], DIGITS[1], endpoint=True)):
        which, side = int(rng.integers(len(digits))), int(rng.integers(DIGIT_PX[0], DIGIT_PX[1], endpoint=True))
        place = _free(rng, side, placed)
        if place is not None:
            placed.append(Placed(int(digits[which]), *place, _enlarged(drawings[which], side)))
    pixels = _paper(rng)
    for item in placed:
        side, colour = len(item.ink), rng.uniform(0, 110, 3)
        part = pixels[item.top : item.top + side, item.left : item.left + side]
        part += item.ink[..., None] * (colour - part)
    return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)), placed


def _free(rng: np.random.Generator, side: int, placed: Sequence[Placed]) -> tuple[int, int] | None:
    """Left and top of a square that meets no other one; None where none was found."""
    for left, top in rng.integers(SIDE_PX - side, size=(TRIES, 2), endpoint=True).tolist():
        if not any(
            left < other.left + len(other.ink) and other.left < left + side
            and top < other.top + len(other.ink) and other.top < top + side
            for other in placed
        ):  # fmt: skip
            return left, top
    return None


def _enlarged(drawing: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """(8, 8) ink of 0-16 to (side, side) of 0-1."""
    image = Image.fromarray((drawing / SHADES).astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.float64).clip(0, 1)


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
        side = len(item.ink)
        values[item.top : item.top + side, item.left : item.left + side][item.ink > INK] = 1 + item.digit
    return Image.fromarray(values)
