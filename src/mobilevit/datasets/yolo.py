"""Reads YOLO's text files, one an image, as Ultralytics lays them out, `data.yaml`, `images/` and `labels/`; or as
Darknet does, beside the images.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mobilevit.datasets import class_names, darknet
from mobilevit.datasets.annotation_records import (
    WHOLE,
    Statements,
    checked_names,
    class_name,
    joined_inside,
    leads_out,
    path_inside,
    written,
)
from mobilevit.datasets.darknet import Described
from mobilevit.datasets.finding import listed
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import SPLIT_NAMES, split_named
from mobilevit.datasets.text_files import quoted, read_text
from mobilevit.datasets.yolo_labels import NAMES, Labels
from mobilevit.errors import DataError
from mobilevit.images import folders

LAYOUT = "data.yaml with images/ and labels/, or obj.data or classes.txt with text files beside the images"
NAMES_KEY, OTHER_KEYS = (  # of the outermost mapping: at the beginning of a line, or in braces
    re.compile(rb"(?:^|\A[\s-]*\{(?s:.*,)?\s*)[\"']?(?:" + keys + rb")[\"']?\s*:", re.MULTILINE)
    for keys in (b"names", b"train|val|path|nc")
)
ENCODING_MARKS = b"\xef\xbb\xbf\xff\xfe"  # with which UTF-8 and UTF-16 may begin
MAX_YAML_BYTES = 2**20


def fits(listing: Listing) -> bool:
    """Whether there is a data.yaml, or folders `images` and `labels`, or Darknet's text files beside the images."""
    return bool(_descriptions(listing.root)) or bool(_image_folders(listing.root)) or darknet.fits(listing)


def read(listing: Listing) -> Statements:
    """What the files of the listing state; the classes in the order of their numbers."""
    images = ImagePaths(listing, Repairs())
    found = _described(images)
    images.refuse_outside()
    numbers = {number: place for place, number in enumerate(sorted(found.names))}
    checked = checked_names([found.names[number] for number in numbers], found.names_file)
    labels = Labels(listing, numbers, images.notes, beside=found.beside, keypoint_values=found.keypoint_values)
    splits = labels.annotations(found.images)
    return Statements(checked, splits, images.notes, (*found.files, *labels.read))


def _described(images: ImagePaths) -> Described:
    """By data.yaml, or else by Darknet's files, or else by folders alone."""
    listing = images.listing
    described = _descriptions(listing.root)
    if len(described) > 1:
        raise DataError(f"{listing.root} has {listed([path.name for path in described])}: keep only one")
    if described:
        return _by_yaml(images, described[0])
    if not _image_folders(listing.root) and darknet.fits(listing):
        return darknet.described(images)
    return _by_folders(listing.root)


def _descriptions(root: Path, key: re.Pattern[bytes] = NAMES_KEY) -> list[Path]:
    """YAML files at `root` that name classes, or have another key."""
    files = [path for path in folders.files_in(root) if path.suffix.lower() in (".yaml", ".yml") and path.is_file()]
    return [path for path in files if path.stat().st_size <= MAX_YAML_BYTES and key.search(_ascii(path))]


def _ascii(path: Path) -> bytes:
    """The content as far as a key shows in it, be it UTF-8 or the UTF-16 that is refused when it is read."""
    return path.read_bytes().replace(b"\0", b"").lstrip(ENCODING_MARKS)


def _by_yaml(images: ImagePaths, path: Path) -> Described:
    root, content = images.listing.root, _parsed(path)
    base = _base(root, path, content)
    paths: dict[str, list[Path]] = {}
    lists: list[Path] = []
    for key, value in content.items():
        split = split_named(key)
        if split == "train" and not value:
            raise DataError(f"{path}: {key} is empty: name the folder of the training images, or remove '{key}'")
        if split is None or not value:
            continue
        if split in paths:
            raise DataError(f"{path} names the {split} split twice: keep one")
        found = [_place(images, base, one, f"{path}: {key}") for one in (value if isinstance(value, list) else [value])]
        if key.casefold() in SPLIT_NAMES["test"] and not any(place.exists() for place in found):
            continue  # Roboflow names a test split that it did not write
        paths[split] = [one for place in found for one in _images(images, place, split, f"{path}: {key}")]
        if not paths[split]:
            raise DataError(f"{path}: {key}: there is no image in {listed(found)}: add some, or remove '{key}'")
        lists += [place for place in found if place.is_file()]
    if not paths:
        raise DataError(f"{path} has no train and no val: name the folders of their images")
    return Described(path, _names(path, content), paths, (path, *lists), _keypoint_values(path, content))


def _keypoint_values(path: Path, content: Mapping[str, Any]) -> int | None:
    """How many values of a row are keypoints: those of a pose, by `kpt_shape: [17, 3]`."""
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    is_shape = isinstance(shape, list) and len(shape) == 2 and all(isinstance(n, str) for n in shape)
    if not is_shape or not re.fullmatch(r"[1-9]\d{0,3}", shape[0]) or shape[1] not in ("2", "3"):
        raise DataError(
            f"{path}: kpt_shape is {written(shape)}: two whole numbers are expected, such as [17, 3]: how many "
            "keypoints, and 2 or 3 values of each"
        )
    return math.prod(map(int, shape))


def _parsed(path: Path) -> Mapping[str, Any]:
    """The file's outermost mapping, every value a text, so that a class may be called `no` or `1`."""
    try:
        content = yaml.load(read_text(path, MAX_YAML_BYTES), Loader=yaml.BaseLoader)  # texts, lists and mappings alone
    except RecursionError:
        raise DataError(f"{path} is refused because it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not valid YAML: {quoted(' '.join(str(error).split()), 160)}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path} is not a data.yaml: names, train and val are expected")
    return content


def _names(path: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """The name of each class number, from a list or a mapping."""
    names = content.get("names")
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{path}: names is {written(names)}: a list of class names is expected")
    if not all(isinstance(number, str) and number.isascii() and number.isdecimal() for number in names):
        raise DataError(f"{path}: the keys of names are {written(list(names))}: 0, 1, 2, ... are expected")
    count = content.get("nc", str(len(names)))
    if count != str(len(names)):
        raise DataError(f"{path}: nc is {written(count)}, and names has {len(names)}: make them agree")
    return {int(number): class_name(name) for number, name in names.items()}


def _base(root: Path, path: Path, content: Mapping[str, Any]) -> Path:
    """What the paths are relative to: `path` where it is a folder of this dataset, else where the file lies."""
    stated = content.get("path", "")
    if not isinstance(stated, str) or not stated.strip() or "\0" in stated:
        return root
    try:
        base = path_inside(root, root, stated, f"{path}: path")
    except DataError:  # where its author kept it
        return root
    return base if base.is_dir() else root


def _place(images: ImagePaths, base: Path, stated: object, where: str) -> Path:
    """A folder or list of images, where it is stated or, of another machine's, the longest end of its path that is
    here. Roboflow writes `../train/images` for `train/images`."""
    root = images.listing.root
    if not isinstance(stated, str):
        raise DataError(f"{where} is {written(stated)}: a folder is expected")
    plain = stated.removeprefix("../") if base == root else stated
    path = joined_inside(root, base, plain, where)
    if path is not None and path.exists():
        return path
    parts = plain.replace("\\", "/").split("/")
    ends = (root.joinpath(*parts[start:]) for start in range(1, len(parts)) if ".." not in parts[start:])
    for end in (end for end in ends if end != root and end.exists()):
        images.notes.add("other-folder", end)
        return end
    if path is None:
        raise leads_out(root, plain, where)
    return path


def _images(images: ImagePaths, place: Path, split: str, where: str) -> list[Path]:
    if place.is_dir():
        return folders.images_below(place)
    if not place.is_file():
        raise DataError(f"{where}: there is no {place}: give the folder of its images")
    return darknet.listed_images(images, place, split)


def _by_folders(root: Path) -> Described:
    places = [root, *(folder.with_name("labels") for folder in _image_folders(root))]
    files = [path for place in places for name in NAMES if (path := folders.file_named(place, name))]
    nameless = _descriptions(root, OTHER_KEYS)
    if not files and nameless:
        raise DataError(f"{nameless[0]} has no class names: add them, such as names: [cat, dog]")
    if not _image_folders(root):
        raise DataError(f"{root} has no YOLO labels and no class names: expected {LAYOUT}")
    if not files:
        raise DataError(f"{root} has labels, but no class names: write {root / 'data.yaml'} with names, train and val")
    names = dict(enumerate(class_names.from_file(files[0])))
    paths: dict[str, list[Path]] = {}
    for images in _image_folders(root):
        inner = {split: path for path in folders.sub_folders(images) if (split := split_named(path.name))}
        own = split_named(images.parent.name) if images.parent != root else None
        for split, path in ({own: images} if own else inner or {WHOLE: images}).items():
            paths[split] = folders.images_below(path)
    return Described(files[0], names, paths, files)


def _image_folders(root: Path) -> list[Path]:
    """Folders `images` beside `labels`, in `root` or in its splits."""
    found = []
    for place in (root, *(folder for folder in folders.sub_folders(root) if split_named(folder.name))):
        inside = {folder.name.casefold(): folder for folder in folders.sub_folders(place)}
        if {"images", "labels"} <= inside.keys() and not _holds_other_files(inside["labels"]):
            found.append(inside["images"])
    return found


def _holds_other_files(labels: Path) -> bool:
    """Whether there are images in place of text, which are masks, or XML, which is VOC's."""
    files = list(folders.files_below(labels))
    others = any(folders.is_image(path) or path.suffix.lower() == ".xml" for path in files)
    return others and not any(path.suffix.lower() == ".txt" for path in files)
