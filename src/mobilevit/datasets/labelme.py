"""Reads labelme's JSON, one file an image: beside the images, or wherever `imagePath` leads from."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobilevit.datasets.annotation_records import MAX_IMAGE_SIZE, Corners, Size, Statements, written
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.outlines import around_points, as_float, is_number
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, statements
from mobilevit.datasets.text_files import MAX_BYTES_OF_ONE, head, read_json
from mobilevit.errors import DataError
from mobilevit.images import folders

LAYOUT = "a.jpg with a.json of labelme beside it"
HEAD_BYTES = 2**16
HEAD = re.compile(rb'"(shapes"\s*:\s*\[|imagePath"\s*:|imageData"\s*:)')
FIRST = 20  # JSON files that decide whether they are labelme's
OUTLINES = ("polygon", "rotation", "oriented_rectangle", "mask", "rectangle")  # whose points lie around the object


def fits(listing: Listing) -> bool:
    """Whether there are such files."""
    return any(_looks_like_labelme(path) for path in listing.below(listing.root, ".json")[:FIRST])


def read(listing: Listing) -> Statements:
    """What the files state. Images beside annotated ones that have no file are images of nothing."""
    images = ImagePaths(listing, Repairs())
    files = [path for path in listing.below(listing.root, ".json") if _looks_like_labelme(path)]
    stated: dict[Path, StatedImage] = {}
    for path in files:
        image = _image(images, path)
        if image.path in stated:
            raise DataError(f"{stated[image.path].where} and {path} both annotate {image.path}: keep one")
        stated[image.path] = image
    images.refuse_outside()
    for path in _beside(stated):
        images.notes.add("no-annotation", path)
        stated[path] = StatedImage(path, path)
    splits = listing.of_splits(sorted(stated), images.notes)
    by_split = {split: [stated[path] for path in paths] for split, paths in splits.items()}
    return statements(listing, images.notes, by_split, files, record="shape")


def _looks_like_labelme(path: Path) -> bool:
    return HEAD.search(head(path, HEAD_BYTES)) is not None


def _beside(stated: Mapping[Path, StatedImage]) -> list[Path]:
    """Images in the folders of those that are annotated, without a file of their own."""
    places = dict.fromkeys(path.parent for path in stated if path.parent.is_dir())
    found = (path for folder in places for path in folders.files_in(folder) if folders.is_image(path))
    return [path for path in found if path not in stated]


def _image(images: ImagePaths, path: Path) -> StatedImage:
    content = read_json(path, MAX_BYTES_OF_ONE, hook=_without_image)
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise DataError(f"{path} is not a labelme file: a list 'shapes' is expected")
    image = StatedImage(_path(images, path, content), path, size=_size(path, content))
    for number, shape in enumerate(shapes, start=1):
        where = f"{path}: shape {number}"
        corners = _corners(shape, where)
        if corners is None:
            kind = written(shape.get("shape_type"))
            images.notes.add("other-shape", path, places=[f"shape {number} ({kind})"])
            continue
        images.notes.add("polygon", path, shape.get("shape_type") != "rectangle", [f"shape {number}"])
        image.boxes.append(StatedBox(_label(shape, where), corners, number, shape.get("difficult") is True))
    return image


def _without_image(record: dict[str, Any]) -> dict[str, Any]:
    """Without the image in base 64, which is most of the file."""
    record.pop("imageData", None)
    return record


def _path(images: ImagePaths, path: Path, content: Mapping[str, Any]) -> Path:
    """The image of the file's own name beside it, or else the one that it names."""
    stated = content.get("imagePath")
    stated = stated.strip() if isinstance(stated, str) else ""
    own = images.listing.beside.get(os.path.splitext(path)[0], ())  # noqa: PTH122
    if own:
        name = stated.replace("\\", "/").rpartition("/")[2]
        return Path(next((one for one in own if os.path.basename(one) == name), own[0]))  # noqa: PTH119
    split = images.listing.split_of(path)
    return images.find(stated or path.stem, path.parent, str(path), split)


def _label(shape: Mapping[str, Any], where: str) -> str:
    label = shape.get("label")
    if label is not None and not isinstance(label, (str, int, float)):
        raise DataError(f"{where} has the label {written(label)}: a string is expected")
    return "" if label is None else str(label)


def _corners(shape: Mapping[str, Any], where: str) -> Corners | None:
    """The box around a shape; None for points and lines, which have no area of their own."""
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind not in (*OUTLINES, "circle"):
        return None
    around = around_points(points) if isinstance(points, list) else None
    if around is None:
        raise DataError(f"{where} has the points {written(points)}: pairs of numbers are expected")
    return _around_circle(points, where) if kind == "circle" else around


def _around_circle(points: Any, where: str) -> Corners:
    if len(points) != 2:
        raise DataError(
            f"{where} is a circle of {len(points)} points: two are expected, its center and one on its edge"
        )
    (x, y), (edge_x, edge_y) = (map(as_float, point) for point in points)
    radius = math.hypot(edge_x - x, edge_y - y)
    return x - radius, y - radius, x + radius, y + radius


def _size(path: Path, content: Mapping[str, Any]) -> Size | None:
    """As stated; None where it is not."""
    sides = [content.get("imageWidth") or 0, content.get("imageHeight") or 0]
    if not all(is_number(side) and 0 <= side <= MAX_IMAGE_SIZE for side in sides):
        raise DataError(f"{path}: the size is {' x '.join(map(written, sides))}: pixels are expected")
    width, height = map(round, sides)
    return (width, height) if width and height else None
