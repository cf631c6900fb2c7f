"""Reads Label Studio's own export, JSON or JSON-MIN: one file for all images, boxes and outlines in percent."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobilevit.datasets.annotation_records import MAX_IMAGE_SIZE, Corners, Size, Statements, written
from mobilevit.datasets.finding import listed
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.outlines import around_points, as_float, is_number
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, split_statements
from mobilevit.datasets.text_files import ends, read_json
from mobilevit.errors import DataError
from mobilevit.images import folders

LAYOUT = "Label Studio's JSON or JSON-MIN"
END_BYTES = 2**16  # at either end of a file: images that are not annotated may be many
WORDS = re.compile(rb'"((rectangle|polygon|brush|ellipse|keypoint)labels|original_width|file_upload)"\s*:')
LIST = re.compile(rb"\s*\[")
SIDES, RADII = ("x", "y", "width", "height"), ("x", "y", "radiusX", "radiusY")
IMAGE_KEYS = ("image", "img", "photo", "picture", "url")  # of a task's data
LABELS = "labels"  # how the key of a region's classes ends
MOST_PERCENT = 1e6

Region = Mapping[str, Any]  # its value: coordinates and labels, and the size of the image


def fits(listing: Listing) -> bool:
    """Whether there is such a file."""
    return bool(_files(listing))


def read(listing: Listing) -> Statements:
    """What the files state; images that they do not list are left out."""
    images, files = ImagePaths(listing, Repairs()), _files(listing)
    stated: dict[Path, StatedImage] = {}
    for path in files:
        for number, task in enumerate(_tasks(path), start=1):
            image = _image(images, path, f"{path}: task {written(task.get('id', number))}", task)
            if image.path in stated:
                raise DataError(f"{path}: two tasks have the image {image.path}: keep one")
            stated[image.path] = image
    return split_statements(images, stated, files, record="region")


def _files(listing: Listing) -> list[Path]:
    return [path for path in listing.below(listing.root, ".json") if is_one(path)]


def is_one(path: Path) -> bool:
    """Whether a JSON file is Label Studio's, by what it holds."""
    content = ends(path, END_BYTES)
    return LIST.match(content.removeprefix(b"\xef\xbb\xbf")) is not None and WORDS.search(content) is not None


def _tasks(path: Path) -> list[Mapping[str, Any]]:
    content = read_json(path)
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        raise DataError(f"{path} is not a Label Studio file: a list of tasks is expected")
    return content


def _image(images: ImagePaths, path: Path, where: str, task: Mapping[str, Any]) -> StatedImage:
    name = _name(task, where)
    found = images.find(name, path.parent, where, images.listing.split_of(path))
    image = StatedImage(found, found)
    for number, region in enumerate(_regions(task, where), start=1):
        place = f"{where}: region {number}"
        shape = next((shape for shape in SHAPES if all(key in region for key in shape)), None)
        if shape is None:
            images.notes.add(
                "other-shape", found, places=[f"region {number} ({', '.join(sorted(map(str, region)))[:40]})"]
            )
            continue
        image.size = _size(region, place)
        images.notes.add("polygon", found, shape != SIDES, [f"region {number}"])
        image.boxes.append(StatedBox(_label(region, place), SHAPES[shape](region, image.size, place), number))
    return image


def _name(task: Mapping[str, Any], where: str) -> str:
    """The path or URL of the image: of the usual keys of the data, or the one value that is called like an image."""
    data = task.get("data", task)
    texts = {key: value for key, value in data.items() if isinstance(value, str)} if isinstance(data, dict) else {}
    named = [texts[key] for key in IMAGE_KEYS if key in texts]
    others = [text for text in texts.values() if folders.is_image(re.split(r"[?#](?!d=)", text, maxsplit=1)[0])]
    found = named[:1] or others
    if len(found) != 1:
        raise DataError(f"{where} has the data {written(data)}: the path of one image is expected, as 'image'")
    return found[0]


def _regions(task: Mapping[str, Any], where: str) -> Iterator[Region]:
    """Of a task's one annotation; or, of JSON-MIN, of every control that marked regions."""
    if "data" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        yield from (one for some in lists for one in some if isinstance(one, dict) and "original_width" in one)
        return
    results = _results(task, where)
    classed = {result.get("id") for result in results if _labels(result.get("value"))}
    for result in results:
        value = result.get("value")
        if not isinstance(value, dict):
            raise DataError(f"{where} has the value {written(value)}: an object is expected")
        is_repeated = result.get("id") in classed and not _labels(value)  # the same region, from another control
        if "original_width" in result and not is_repeated:
            size = {key: result.get(key) for key in ("original_width", "original_height", "image_rotation")}
            yield {**value, **size}


def _results(task: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """Of the annotation that counts; DataError where several could."""
    annotations = task.get("annotations", task.get("completions", []))
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise DataError(f"{where} has the annotations {written(annotations)}: a list of objects is expected")
    kept = [one for one in annotations if not one.get("was_canceled")]
    kept = [one for one in kept if one.get("ground_truth")] or kept
    if len(kept) > 1:
        raise DataError(
            f"{where} has {len(kept)} annotations, as from several annotators: keep one, or mark one as ground truth"
        )
    results = kept[0].get("result", []) if kept else []
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):
        raise DataError(f"{where} has the result {written(results)}: a list of objects is expected")
    return results


def _labels(value: object) -> list[object]:
    """The classes of a region; none where it has none, or is no region."""
    found = value.items() if isinstance(value, dict) else ()
    return next((some for key, some in found if str(key).endswith(LABELS) and isinstance(some, list)), [])


def _label(region: Region, where: str) -> str:
    labels = _labels(region)
    if len(labels) > 1:
        raise DataError(f"{where} has the labels {listed(list(map(str, labels)))}: exactly one is expected")
    return str(labels[0]) if labels else ""


def _size(region: Region, where: str) -> Size:
    sides = [region.get("original_width"), region.get("original_height")]
    if not all(is_number(side) and 1 <= as_float(side) <= MAX_IMAGE_SIZE for side in sides):
        raise DataError(f"{where} has the original size {' x '.join(map(written, sides))}: pixels are expected")
    if region.get("image_rotation"):
        raise DataError(
            f"{where} is for an image that was rotated by {written(region['image_rotation'])} degrees: rotate it back"
        )
    width, height = map(round, map(as_float, sides))
    return width, height


def _numbers(region: Region, keys: Sequence[str], where: str) -> list[float]:
    values = [region.get(key) for key in keys]
    if not all(is_number(value) and abs(as_float(value)) <= MOST_PERCENT for value in values):  # so that NaN fails
        raise DataError(
            f"{where} has the {', '.join(keys)} {', '.join(map(written, values))}: percentages are expected"
        )
    return [as_float(value) for value in values]


def _turn(region: Region, where: str) -> tuple[float, float]:
    """Cosine and sine of the rotation, in degrees clockwise."""
    degrees = _numbers({"rotation": region.get("rotation") or 0}, ("rotation",), where)[0]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _box(region: Region, size: Size, where: str) -> Corners:
    """Around a box that may be turned about its first corner."""
    left, top, width, height = _pixels(_numbers(region, SIDES, where), size)
    cos, sin = _turn(region, where)
    x = [left + right * cos - down * sin for right in (0, width) for down in (0, height)]
    y = [top + right * sin + down * cos for right in (0, width) for down in (0, height)]
    return min(x), min(y), max(x), max(y)


def _ellipse(region: Region, size: Size, where: str) -> Corners:
    x, y, across, down = _pixels(_numbers(region, RADII, where), size)
    cos, sin = _turn(region, where)
    half_x, half_y = math.hypot(across * cos, down * sin), math.hypot(across * sin, down * cos)
    return x - half_x, y - half_y, x + half_x, y + half_y


def _polygon(region: Region, size: Size, where: str) -> Corners:
    points = region["points"]
    around = around_points(points) if isinstance(points, list) else None
    if around is None:
        raise DataError(f"{where} has the points {written(points)}: pairs of numbers are expected")
    left, top, right, bottom = _pixels(around, size)
    return left, top, right, bottom


def _pixels(percents: Sequence[float], size: Size) -> list[float]:
    """Of x and y in turn."""
    return [value * size[place % 2] / 100 for place, value in enumerate(percents)]


SHAPES = {SIDES: _box, RADII: _ellipse, ("points",): _polygon}  # that have an area, by the keys of each
