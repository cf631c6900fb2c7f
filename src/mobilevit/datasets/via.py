"""Reads what VGG's Image Annotator, version 1 or 2, writes beside the images: JSON, CSV, or a saved project."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mobilevit.datasets import via_table
from mobilevit.datasets.annotation_records import Corners, Statements, written
from mobilevit.datasets.finding import listed
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.outlines import around_points, as_float, is_number
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, split_statements
from mobilevit.datasets.text_files import head, read_json
from mobilevit.errors import DataError

LAYOUT = "via_region_data.json or .csv of VIA"
PROJECT = "_via_img_metadata"  # the key of the images in a saved project
HEAD_BYTES = 2**16
HEAD = re.compile(rb'"(regions"\s*:\s*[\[{]|_via_img_metadata"\s*:|_via_settings"\s*:)')
CLASS_KEYS = ("class", "label", "name", "category", "type", "object")  # of attributes, the first of which is the class


def fits(listing: Listing) -> bool:
    """Whether there is such a file."""
    return bool(_files(listing))


def read(listing: Listing) -> Statements:
    """What the files state; images that they do not list are left out."""
    images, files = ImagePaths(listing, Repairs()), _files(listing)
    documents = {path: _records(path) for path in files}
    key = _class_key(documents)
    stated: dict[Path, StatedImage] = {}
    for path, records in documents.items():
        for where, record in records.items():
            image = _image(images, path, where, record, key)
            if image.path in stated:
                raise DataError(f"{path}: {where}: {image.path} is listed twice: keep one")
            stated[image.path] = image
    return split_statements(images, stated, files, record="region")


def _files(listing: Listing) -> list[Path]:
    found = [path for path in listing.below(listing.root, ".json") if HEAD.search(head(path, HEAD_BYTES))]
    return [*found, *filter(via_table.fits, listing.below(listing.root, via_table.SUFFIX))]


def _records(path: Path) -> dict[str, Mapping[str, Any]]:
    """What is stated of each image, by what a message calls it."""
    if path.suffix.lower() == via_table.SUFFIX:
        return {f"image {written(name)}": record for name, record in via_table.records(path).items()}
    content = read_json(path)
    content = content.get(PROJECT, content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(record, dict) for record in content.values()):
        raise DataError(
            f"{path} is not a VIA file: an object with a 'filename' and 'regions' for each image is expected"
        )
    return {f"image {written(key)}": record for key, record in content.items()}


def _image(images: ImagePaths, path: Path, where: str, record: Mapping[str, Any], key: str | None) -> StatedImage:
    name = record.get("filename")
    if not isinstance(name, str):
        raise DataError(f"{path}: {where} has the filename {written(name)}: a path is expected")
    found = images.find(name, path.parent, f"{path}: {where}", images.listing.split_of(path))
    image = StatedImage(found, found)
    for number, region in enumerate(_regions(record, f"{path}: {where}"), start=1):
        shape = region.get("shape_attributes")
        if not isinstance(shape, dict):
            raise DataError(f"{path}: {where}: region {number} has no shape_attributes: export it again")
        if shape.get("name") not in SHAPES:
            images.notes.add("other-shape", found, places=[f"region {number} ({written(shape.get('name'))})"])
            continue
        images.notes.add("polygon", found, shape.get("name") != "rect", [f"region {number}"])
        corners = _corners(shape, f"{path}: {where}: region {number}")
        image.boxes.append(StatedBox(_class(region, key), corners, number))
    return image


def _regions(record: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """A list in files of version 2, an object by number in those of version 1."""
    regions = record.get("regions", [])
    found = list(regions.values()) if isinstance(regions, dict) else regions
    if not isinstance(found, list) or not all(isinstance(region, dict) for region in found):
        raise DataError(f"{where} has the regions {written(regions)}: a list of objects is expected")
    return found


def _class_key(documents: Mapping[Path, Mapping[str, Mapping[str, Any]]]) -> str | None:
    """The attribute of regions that is their class; None where they have none. DataError where several could be."""
    found = dict.fromkeys(
        key
        for path, records in documents.items()
        for where, record in records.items()
        for region in _regions(record, f"{path}: {where}")
        for key, value in _attributes(region).items()
        if _text(value)
    )
    named = [key for word in CLASS_KEYS for key in found if key.strip().casefold() == word]
    if len(found) > 1 and not named:
        raise DataError(
            f"{next(iter(documents))}: which of the attributes {listed(found)} is the class? Rename it to 'class'"
        )
    return next(iter(named or found), None)


def _class(region: Mapping[str, Any], key: str | None) -> str:
    return _text(_attributes(region).get(key)) if key is not None else ""


def _attributes(region: Mapping[str, Any]) -> Mapping[str, Any]:
    attributes = region.get("region_attributes")
    return attributes if isinstance(attributes, dict) else {}


def _text(value: object) -> str:
    """Of a field, or of what is checked in a list of boxes; empty where there is no one value."""
    if isinstance(value, dict):
        checked = [str(name) for name, is_checked in value.items() if is_checked]
        return checked[0] if len(checked) == 1 else ""
    return str(value).strip() if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _corners(shape: Mapping[str, Any], where: str) -> Corners:
    keys = SHAPES[shape["name"]]
    values = [shape.get(key) for key in keys]
    if keys == POINTS:
        x, y = values
        is_pair = isinstance(x, list) and isinstance(y, list) and len(x) == len(y)
        around = around_points(list(zip(x, y, strict=True))) if is_pair else None  # type: ignore[arg-type]
        if around is None:
            raise DataError(f"{where} has the points {written(x)} and {written(y)}: two lists of numbers are expected")
        return around
    if not all(map(is_number, values)):
        raise DataError(f"{where} has the {', '.join(keys)} {', '.join(map(written, values))}: numbers are expected")
    first, second, third, fourth = (*map(as_float, values), as_float(values[-1]))[:4]
    if shape["name"] == "rect":
        return first, second, first + third, second + fourth
    across, down = _half_sides(shape, third, fourth)
    return first - across, second - down, first + across, second + down


def _half_sides(shape: Mapping[str, Any], x: float, y: float) -> tuple[float, float]:
    """Of the box around an ellipse that may be turned, or a circle."""
    angle = shape.get("theta", 0)
    turn = as_float(angle) if is_number(angle) and math.isfinite(as_float(angle)) else 0.0
    cos, sin = math.cos(turn), math.sin(turn)
    return math.hypot(x * cos, y * sin), math.hypot(x * sin, y * cos)


POINTS = ("all_points_x", "all_points_y")
SHAPES: Mapping[str, tuple[str, ...]] = {  # that have an area, and what they consist of
    "rect": ("x", "y", "width", "height"),
    "polygon": POINTS,
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
