"""Reads CreateML's JSON, which labelImg and Roboflow write: one file for the images of a folder."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobilevit.datasets import label_studio
from mobilevit.datasets.annotation_records import Corners, Statements, written
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.outlines import as_float, is_number
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, split_statements
from mobilevit.datasets.text_files import head, read_json
from mobilevit.errors import DataError

LAYOUT = "_annotations.createml.json beside the images"
HEAD_BYTES = 2**16
HEAD = re.compile(rb'^\s*\[\s*\{\s*"(image|imagefilename|annotations)"\s*:')
SIDES = ("x", "y", "width", "height")  # center and size in pixels


def fits(listing: Listing) -> bool:
    """Whether there is such a file."""
    return bool(_files(listing))


def read(listing: Listing) -> Statements:
    """What the files state; images that they do not list are left out."""
    images, files = ImagePaths(listing, Repairs()), _files(listing)
    stated: dict[Path, StatedImage] = {}
    for path in files:
        for number, record in enumerate(_records(path)):
            image = _image(images, path, f"{path}: image {number}", record)
            if image.path in stated:
                stated[image.path].boxes.extend(image.boxes)
            else:
                stated[image.path] = image
    return split_statements(images, stated, files, record="annotation")


def _files(listing: Listing) -> list[Path]:
    found = listing.below(listing.root, ".json")
    begun = [path for path in found if HEAD.search(head(path, HEAD_BYTES).removeprefix(b"\xef\xbb\xbf"))]
    return [path for path in begun if not label_studio.is_one(path)]  # JSON-MIN begins with "image" too


def _records(path: Path) -> list[Mapping[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise DataError(f"{path} is not a CreateML file: a list of objects with 'image' and 'annotations' is expected")
    return content


def _image(images: ImagePaths, path: Path, where: str, record: Mapping[str, Any]) -> StatedImage:
    name, boxes = record.get("image", record.get("imagefilename")), record.get("annotations", [])
    if not isinstance(name, str):
        raise DataError(f"{where} is called {written(name)}: a path is expected")
    if not isinstance(boxes, list) or not all(isinstance(box, dict) for box in boxes):
        raise DataError(f"{where} has the annotations {written(boxes)}: a list of objects is expected")
    found = images.find(name, path.parent, where, images.listing.split_of(path))
    stated = [_box(box, number, f"{where}, annotation {number}") for number, box in enumerate(boxes, start=1)]
    return StatedImage(found, found, stated)


def _box(box: Mapping[str, Any], number: int, where: str) -> StatedBox:
    label, sides = box.get("label", ""), box.get("coordinates")
    if not isinstance(label, (str, int, float)):
        raise DataError(f"{where} has the label {written(label)}: a string is expected")
    values = [sides.get(side) for side in SIDES] if isinstance(sides, dict) else []
    if not values or not all(map(is_number, values)):
        raise DataError(f"{where} has the coordinates {written(sides)}: numbers x, y, width and height are expected")
    return StatedBox(str(label), _corners(*map(as_float, values)), number)


def _corners(x: float, y: float, width: float, height: float) -> Corners:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
