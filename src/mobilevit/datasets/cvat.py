"""Reads "CVAT for images": `annotations.xml`, one file for all images of a task or project."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from mobilevit.datasets.annotation_records import MAX_IMAGE_SIZE, Corners, Size, Statements
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, statements
from mobilevit.datasets.text_files import head, quoted, read_xml
from mobilevit.errors import DataError

LAYOUT = "annotations.xml of CVAT for images"
HEAD_BYTES = 4096  # of a file, within which the outermost element begins
HEAD = re.compile(rb"<annotations[\s>]")
MAX_BYTES = 2**28
UNSHAPED = ("tag",)  # what an image has beside shapes
POINTS = re.compile(r"\s*[;,]\s*")


def fits(listing: Listing) -> bool:
    """Whether there is such a file."""
    return bool(_files(listing))


def read(listing: Listing) -> Statements:
    """What the files state; images that they do not list are left out."""
    images, files = ImagePaths(listing, Repairs()), _files(listing)
    stated: dict[Path, StatedImage] = {}
    subsets: dict[Path, str] = {}
    for path in files:
        for element in _elements(path):
            image = _image(images, path, element)
            if image.path in stated:
                raise DataError(f"{path}: {image.path} is listed twice: keep one")
            stated[image.path] = image
            if split := _subset(element):
                subsets[image.path] = split
    images.refuse_outside()
    splits = _splits(subsets) if subsets.keys() == stated.keys() else listing.of_splits(stated, images.notes)
    by_split = {split: [stated[one] for one in paths] for split, paths in splits.items()}
    return statements(listing, images.notes, by_split, files, record="shape")


def _files(listing: Listing) -> list[Path]:
    return [path for path in listing.below(listing.root, ".xml") if HEAD.search(head(path, HEAD_BYTES))]


def _elements(path: Path) -> list[Element]:
    """Those of the images; DataError where the file has tracks of a video, or neither."""
    tree = read_xml(path, MAX_BYTES)
    if tree.find("track") is not None:
        raise DataError(f'{path} is "CVAT for video", tracks without images: export the task as "CVAT for images"')
    found = tree.findall("image")
    if tree.tag != "annotations" or not found:
        raise DataError(f"{path} is not a CVAT file: <annotations> with an <image> for each image is expected")
    return found


def _subset(element: Element) -> str | None:
    """The split that a project of CVAT says the image is of; None where that is no split's name."""
    return split_named(element.get("subset", ""))


def _splits(subsets: Mapping[Path, str]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path, split in subsets.items():
        found.setdefault(split, []).append(path)
    return found


def _image(images: ImagePaths, path: Path, element: Element) -> StatedImage:
    name = element.get("name", "")
    where = f"{path}: image '{quoted(name)}'"
    split = _subset(element) or images.listing.split_of(path)
    image = StatedImage(found := images.find(name, path.parent, where, split), found, size=_size(element, where))
    for number, shape in enumerate((one for one in element if one.tag not in UNSHAPED), start=1):
        if shape.tag not in SHAPES:
            images.notes.add("other-shape", found, places=[f"shape {number} ({quoted(shape.tag)})"])
            continue
        images.notes.add("polygon", found, shape.tag != "box", [f"shape {number}"])
        corners = SHAPES[shape.tag](shape, f"{where}: shape {number} ({shape.tag})")
        image.boxes.append(StatedBox(shape.get("label", ""), corners, number))
    return image


def _size(element: Element, where: str) -> Size | None:
    """As stated; None where it is not."""
    if element.get("width") is None or element.get("height") is None:
        return None
    width, height = _numbers(element, ("width", "height"), where)
    if not (1 <= width <= MAX_IMAGE_SIZE and 1 <= height <= MAX_IMAGE_SIZE):
        raise DataError(f"{where} has the size {width:g} x {height:g}: pixels are expected")
    return round(width), round(height)


def _numbers(element: Element, keys: tuple[str, ...], where: str) -> Iterator[float]:
    for key in keys:
        text = element.get(key, "")
        try:
            yield float(text)
        except ValueError:
            raise DataError(f"{where} has the {key} '{quoted(text)}': a number is expected") from None


def _box(shape: Element, where: str) -> Corners:
    left, top, right, bottom = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"), where)
    across, down = _turned(shape, (right - left) / 2, (bottom - top) / 2, where)
    return (
        _around((left + right) / 2, (top + bottom) / 2, across, down)
        if shape.get("rotation")
        else (left, top, right, bottom)
    )


def _turned(shape: Element, across: float, down: float, where: str) -> tuple[float, float]:
    """Half the sides of the box around a turned one."""
    cos, sin = _turn(shape, where)
    return across * cos + down * sin, across * sin + down * cos


def _turn(shape: Element, where: str) -> tuple[float, float]:
    """Cosine and sine, without their signs, of the rotation in degrees."""
    (degrees,) = _numbers(shape, ("rotation",), where) if shape.get("rotation") else (0.0,)
    if not math.isfinite(degrees):
        raise DataError(f"{where} has the rotation {degrees}: degrees are expected")
    return abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))


def _around(x: float, y: float, across: float, down: float) -> Corners:
    return x - across, y - down, x + across, y + down


def _ellipse(shape: Element, where: str) -> Corners:
    x, y, across, down = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
    cos, sin = _turn(shape, where)
    return _around(x, y, math.hypot(across * cos, down * sin), math.hypot(across * sin, down * cos))


def _mask(shape: Element, where: str) -> Corners:
    """The box that CVAT has cut the mask to."""
    left, top, width, height = _numbers(shape, ("left", "top", "width", "height"), where)
    return left, top, left + width, top + height


def _polygon(shape: Element, where: str) -> Corners:
    """Of "x,y;x,y;...": both separators separate numbers, x and y in turn."""
    text = shape.get("points", "").strip()
    try:
        values = list(map(float, POINTS.split(text)))
        x, y = values[::2], values[1::2]
        if len(x) != len(y):
            raise ValueError(text)
    except ValueError:
        raise DataError(f"{where} has the points '{quoted(text)}': x,y;x,y;... are expected") from None
    strange = [value for value in values if not math.isfinite(value)]  # which min and max may pass over
    return (strange[0],) * 4 if strange else (min(x), min(y), max(x), max(y))


SHAPES: Mapping[str, Callable[[Element, str], Corners]] = {  # that have an area
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
