"""Darknet's layout of YOLO label files: each beside its image, and a file of class names, one per line.

`obj.data` names the lists of images of each split and the file of names (CVAT's "YOLO 1.1"); without it the folders
say which split is which, and the names lie in `classes.txt` (labelImg), `obj.names` or `_darknet.labels` (Roboflow).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mobilevit.datasets import class_names
from mobilevit.datasets.finding import listed
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import head, quoted, read_text
from mobilevit.datasets.yolo_labels import NAMES, holds_rows, numbered
from mobilevit.errors import DataError
from mobilevit.images import folders

HEAD_BYTES = 4096
MOST_TRIED = 200  # text files beside images that are looked at for one that holds rows
MAX_DATA_BYTES = 2**20


@dataclass(frozen=True)
class Described:
    """What says which classes and which images there are, before any label is read."""

    names_file: Path
    names: Mapping[int, str]  # of each class number
    images: Mapping[str, Sequence[Path]]  # of each split
    files: Sequence[Path]  # that were read
    keypoint_values: int | None = None  # how many values of a row are keypoints
    beside: bool = False  # whether the labels are expected beside the images


def fits(listing: Listing) -> bool:
    """Whether there is an obj.data, or YOLO's rows in text files of the names of the images beside them."""
    return bool(_data_files(listing.root)) or _first_labels(listing) is not None


def described(images: ImagePaths) -> Described:
    """By obj.data, or else by folders and lists; DataError where nothing names the classes."""
    found = _data_files(images.listing.root)
    if len(found) > 1:
        names = listed([path.name for path in found])
        raise DataError(f"{images.listing.root} has {names}: keep only one")
    return _by_data(images, found[0]) if found else _by_folders(images)


def listed_images(images: ImagePaths, path: Path, split: str) -> list[Path]:
    """The images of a list, one path a line: relative to the dataset, or to the list where it begins with a dot."""
    found = []
    for number, line in numbered(read_text(path)):
        where = f"{path}, line {number}"
        if not folders.is_image(line):
            raise DataError(f"{where}: '{quoted(line)}' is not an image path: one path per line is expected")
        base = path.parent if line.startswith(".") else images.listing.root
        found.append(images.find(line, base, where, split))
    return found


def _data_files(root: Path) -> list[Path]:
    """Files such as obj.data at `root`: assignments, of which one is that of the names."""
    files = [path for path in folders.files_in(root) if path.suffix.lower() == ".data"]
    return [path for path in files if re.search(rb"(?m)^\s*names\s*=", head(path, HEAD_BYTES))]


def _by_data(images: ImagePaths, path: Path) -> Described:
    root = images.listing.root
    stated = dict(_assignments(path))
    names_file = _named_file(root, path, "names", stated["names"])
    lists = {
        split: _named_file(root, path, key, value)
        for key, value in stated.items()
        if (split := split_named(key)) is not None
    }
    if not lists:
        raise DataError(f"{path} has no list of images: write train = train.txt, and valid = valid.txt")
    names = dict(enumerate(class_names.from_file(names_file)))
    found = {split: listed_images(images, file, split) for split, file in lists.items()}
    return Described(names_file, names, found, (path, names_file, *lists.values()), beside=True)


def _assignments(path: Path) -> list[tuple[str, str]]:
    lines = [line for _, line in numbered(read_text(path, MAX_DATA_BYTES)) if not line.startswith("#")]
    return [(key.strip(), value.strip()) for key, _, value in (line.partition("=") for line in lines)]


def _named_file(root: Path, path: Path, key: str, stated: str) -> Path:
    """The file that an assignment names, of which the end is here: Darknet's paths begin where it was started."""
    parts = [part for part in stated.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        place = root.joinpath(*parts[start:-1])
        if "\0" not in stated and place.is_dir() and (found := folders.file_named(place, parts[-1])):
            return found
    raise DataError(f"{path}: {key}: there is no '{quoted(stated)}' in {root}: copy it there, or correct the path")


def _first_labels(listing: Listing) -> Path | None:
    """A text file that lies beside an image of its name and holds YOLO's rows."""
    beside = (path for path in listing.below(listing.root, ".txt") if os.fspath(path)[:-4] in listing.beside)
    return next((path for path in islice(beside, MOST_TRIED) if holds_rows(path)), None)


def _by_folders(images: ImagePaths) -> Described:
    """By lists such as train.txt at the root, or by the folders of the splits."""
    listing = images.listing
    names_file, names, tables = _names(listing)
    lists = {split: path for path in folders.files_in(listing.root) if (split := _list_of(path))}
    if lists:
        found = {split: listed_images(images, path, split) for split, path in lists.items()}
    else:
        found = listing.of_splits(_beside_labels(listing), images.notes)
    return Described(names_file, dict(enumerate(names)), found, (*tables, *lists.values()), beside=True)


def _names(listing: Listing) -> tuple[Path, list[str], list[Path]]:
    """A file of names, the names, and all such files: some tools write one into each folder."""
    files = [path for path in listing.below(listing.root, ".txt", ".names", ".labels") if _is_names(path)]
    if not files:
        first = _first_labels(listing)
        place = (first.parent if first else listing.root) / NAMES[0]
        raise DataError(
            f"{listing.root} has YOLO labels beside the images, but no class names: "
            f"write {place} with the name of class 0 on the first line, that of class 1 on the second, ..."
        )
    names = class_names.from_file(files[0])
    for file in files[1:]:
        if class_names.from_file(file) != names:
            raise DataError(f"{files[0]} and {file} name different classes: make them agree")
    return files[0], names, files


def _beside_labels(listing: Listing) -> list[Path]:
    """The images of the folders in which an image has a text file of its name."""
    texts = {os.fspath(path)[:-4] for path in listing.below(listing.root, ".txt")}
    labeled = {os.path.dirname(path) for path in listing.beside if path in texts}  # noqa: PTH120
    return [Path(path) for path in listing.images if os.path.dirname(path) in labeled]  # noqa: PTH120


def _is_names(path: Path) -> bool:
    return path.name.casefold() in NAMES or path.suffix.lower() == ".names"


def _list_of(path: Path) -> str | None:
    """The split that a list such as train.txt names the images of."""
    split = split_named(path.stem) if path.suffix.lower() == ".txt" else None
    first = head(path, HEAD_BYTES).split(b"\n")[0].strip() if split else b""
    return split if folders.is_image(first.decode("utf-8", "replace")) else None
