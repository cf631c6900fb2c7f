"""Reads YOLO's text files, one a picture, as Ultralytics lays them out: `data.yaml`, `images/` and `labels/`.

A line is a class number and a box, centre and size in shares of the picture; or a class number and the corners of an
outline, of which the box around it is taken.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mobilevit.data import folders
from mobilevit.data.finding import listed
from mobilevit.data.splitting import SPLIT_NAMES, split_named
from mobilevit.errors import DataError
from mobilevit.tasks.detection import class_names
from mobilevit.tasks.detection.annotation import (
    WHOLE,
    Annotation,
    Corners,
    Statements,
    checked_names,
    class_name,
    path_inside,
    quoted,
    read_text,
    written,
)
from mobilevit.tasks.detection.notes import Notes

LAYOUT = "data.yaml with images/ and labels/"
NAMES = ("classes.txt", "obj.names")  # of the classes, one a line, where there is no data.yaml
NAMES_KEY, OTHER_KEYS = (  # of the outermost mapping: at the beginning of a line, or in braces
    re.compile(rb"(?:^|\A[\s-]*\{(?s:.*,)?\s*)[\"']?(?:" + keys + rb")[\"']?\s*:", re.MULTILINE)
    for keys in (b"names", b"train|val|path|nc")
)
ENCODING_MARKS = b"\xef\xbb\xbf\xff\xfe"  # with which UTF-8 and UTF-16 may begin
MAX_YAML_BYTES = 2**20
MAX_LABEL_BYTES = 2**24

Lines = Iterator[tuple[int, str]]  # numbered from one


def fits(root: Path) -> bool:
    """Whether there is a data.yaml, or folders `images` and `labels`."""
    return bool(_descriptions(root)) or bool(_image_folders(root))


def read(root: Path) -> Statements:
    """What the files at `root` state; the classes in the order of their numbers."""
    notes = Notes()
    described = _descriptions(root)
    if len(described) > 1:
        raise DataError(f"{root} has {listed([path.name for path in described])}: keep the one that is meant")
    names_file, names, pictures, lists = _described(root, described[0]) if described else _undescribed(root)
    numbers = {number: place for place, number in enumerate(sorted(names))}
    checked = checked_names([names[number] for number in numbers], names_file)
    reader = _Labels(root, numbers, notes)
    splits = {split: [reader.annotation(path) for path in paths] for split, paths in pictures.items()}
    reader.note_unused({picture for paths in pictures.values() for picture in paths})
    return Statements(checked, splits, notes, (names_file, *lists, *reader.read))


Described = tuple[Path, Mapping[int, str], Mapping[str, Sequence[Path]], Sequence[Path]]


def _descriptions(root: Path, key: re.Pattern[bytes] = NAMES_KEY) -> list[Path]:
    """YAML files at `root` that name classes, or have another key."""
    files = [path for path in folders.files_in(root) if path.suffix.lower() in (".yaml", ".yml") and path.is_file()]
    return [path for path in files if path.stat().st_size <= MAX_YAML_BYTES and key.search(_ascii(path))]


def _ascii(path: Path) -> bytes:
    """The content as far as a key shows in it, be it UTF-8 or the UTF-16 that is refused when it is read."""
    return path.read_bytes().replace(b"\0", b"").lstrip(ENCODING_MARKS)


def _described(root: Path, path: Path) -> Described:
    """File of the names, the names, the pictures of each split, and the lists they were read from."""
    content = _parsed(path)
    base = _base(root, path, content)
    pictures: dict[str, list[Path]] = {}
    lists: list[Path] = []
    for key, value in content.items():
        split = split_named(key)
        if split == "train" and not value:
            raise DataError(f"{path}: {key} is empty: name the folder of the training pictures, or remove '{key}'")
        if split is None or not value:
            continue
        if split in pictures:
            raise DataError(f"{path} names the {split} split twice: keep one")
        found = [_place(root, base, one, f"{path}: {key}") for one in (value if isinstance(value, list) else [value])]
        if key.casefold() in SPLIT_NAMES["test"] and not any(place.exists() for place in found):
            continue  # Roboflow names a test split that it did not write
        pictures[split] = [picture for place in found for picture in _pictures(root, place, f"{path}: {key}")]
        if not pictures[split]:
            raise DataError(f"{path}: {key}: there is no picture in {listed(found)}: add some, or remove '{key}'")
        lists += [place for place in found if place.is_file()]
    if not pictures:
        raise DataError(f"{path} has no train and no val: name the folders of their pictures")
    return path, _names(path, content), pictures, lists


def _parsed(path: Path) -> Mapping[str, Any]:
    """The file's outermost mapping, every value a text, so that a class may be called `no` or `1`."""
    try:
        content = yaml.load(read_text(path, MAX_YAML_BYTES), Loader=yaml.BaseLoader)  # texts, lists and mappings alone
    except RecursionError:
        raise DataError(f"{path} is refused, because it is nested too deep") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no YAML: {quoted(' '.join(str(error).split()), 160)}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path} is no data.yaml: names, train and val are expected")
    return content


def _names(path: Path, content: Mapping[str, Any]) -> dict[int, str]:
    """The name of each class number, from a list or a mapping."""
    names = content.get("names")
    if isinstance(names, list):
        names = {str(number): name for number, name in enumerate(names)}
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{path}: names is {written(names)}: a list of class names is expected")
    if not all(isinstance(number, str) and number.isascii() and number.isdecimal() for number in names):
        raise DataError(f"{path}: names has the numbers {written(list(names))}: 0, 1, 2, ... are expected")
    count = content.get("nc", str(len(names)))
    if count != str(len(names)):
        raise DataError(f"{path}: nc is {written(count)}, and names has {len(names)}: make them agree")
    return {int(number): class_name(name) for number, name in names.items()}


def _base(root: Path, path: Path, content: Mapping[str, Any]) -> Path:
    """What the paths are relative to: `path` where it is a folder of this data set, else where the file lies."""
    stated = content.get("path", "")
    if not isinstance(stated, str) or not stated.strip() or "\0" in stated:
        return root
    try:
        base = path_inside(root, root, stated, f"{path}: path")
    except DataError:  # where its author kept it
        return root
    return base if base.is_dir() else root


def _place(root: Path, base: Path, stated: object, where: str) -> Path:
    """A folder or list of pictures. Roboflow writes `../train/images` for `train/images`."""
    if not isinstance(stated, str):
        raise DataError(f"{where} is {written(stated)}: a folder is expected")
    return path_inside(root, base, stated.removeprefix("../") if base == root else stated, where)


def _pictures(root: Path, place: Path, where: str) -> list[Path]:
    if place.is_dir():
        return folders.pictures_below(place)
    if not place.is_file():
        raise DataError(f"{where}: there is no {place}: give the folder of its pictures")
    return [_listed(root, place, line, f"{place}, line {number}") for number, line in _numbered(read_text(place))]


def _listed(root: Path, place: Path, line: str, where: str) -> Path:
    """A picture of a list: relative to the data set, or to the list where it begins with a dot."""
    path = path_inside(root, place.parent if line.startswith(".") else root, line, where)
    if not folders.is_picture(path):
        raise DataError(f"{where}: '{quoted(line)}' has no picture's name: one path a line is expected")
    return path


def _numbered(text: str) -> Lines:
    return ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def _undescribed(root: Path) -> Described:
    """As `_described`, from folders alone."""
    places = [root, *(folder.with_name("labels") for folder in _image_folders(root))]
    files = [place / name for place in places for name in NAMES if (place / name).is_file()]
    nameless = _descriptions(root, OTHER_KEYS)
    if not files and nameless:
        raise DataError(f"{nameless[0]} has no `names`: add the names of the classes, such as names: [cat, dog]")
    if not files:
        raise DataError(
            f"{root} has labels and no names for them: write {root / 'data.yaml'} with names, train and val"
        )
    names = dict(enumerate(class_names.from_file(files[0])))
    pictures: dict[str, list[Path]] = {}
    for images in _image_folders(root):
        inner = {split: path for path in folders.sub_folders(images) if (split := split_named(path.name))}
        own = split_named(images.parent.name) if images.parent != root else None
        for split, path in ({own: images} if own else inner or {WHOLE: images}).items():
            pictures[split] = folders.pictures_below(path)
    return files[0], names, pictures, files


def _image_folders(root: Path) -> list[Path]:
    """Folders `images` beside `labels`, in `root` or in its splits."""
    found = []
    for place in (root, *(folder for folder in folders.sub_folders(root) if split_named(folder.name))):
        inside = {folder.name.casefold(): folder for folder in folders.sub_folders(place)}
        if {"images", "labels"} <= inside.keys() and not _holds_masks(inside["labels"]):
            found.append(inside["images"])
    return found


def _holds_masks(labels: Path) -> bool:
    """Whether there are images in place of text: masks."""
    files = list(folders.files_below(labels))
    return any(map(folders.is_picture, files)) and not any(path.suffix.lower() == ".txt" for path in files)


class _Labels:
    """Reads the label file of each picture, and knows which were read."""

    def __init__(self, root: Path, numbers: Mapping[int, int], notes: Notes) -> None:
        self.root, self.numbers, self.notes = root, numbers, notes
        self.read: dict[Path, None] = {}

    def annotation(self, picture: Path) -> Annotation:
        path = label_path(self.root, picture)
        if not path.is_file():
            self.notes.add("no-annotation", picture, picture.exists())  # else it is counted as missing, later
            return Annotation(picture, picture)
        self.read[path] = None
        boxes: list[Corners] = []
        labels: list[int] = []
        numbers: list[int] = []
        for number, line in _numbered(read_text(path, MAX_LABEL_BYTES)):
            label, corners, is_polygon = _parsed_line(line, f"{path}, line {number}")
            if label not in self.numbers:
                self.notes.add("unknown-class", path, places=[f"line {number} (class {label:.15g})"])
                continue
            self.notes.add("polygon", path, is_polygon, [f"line {number}"])
            boxes.append(corners)
            labels.append(self.numbers[label])
            numbers.append(number)
        ignore = [False] * len(boxes)
        return Annotation(picture, path, boxes, labels, ignore, in_shares=True, record="line", numbers=numbers)

    def note_unused(self, pictures: Collection[Path]) -> None:
        """What lies beside the `pictures` and is not listed, and labels whose picture is not there."""
        beside = _files_beside(pictures)
        unlisted = [path for path in beside if folders.is_picture(path) and path not in pictures]
        for path in unlisted:
            self.notes.add("not-listed", path)
        known = {*self.read, *(label_path(self.root, path) for path in unlisted)}
        for path in _files_beside(self.read):
            if path.suffix.lower() == ".txt" and path not in known and path.name not in NAMES:
                self.notes.add("missing-picture", path)


def _files_beside(paths: Iterable[Path]) -> list[Path]:
    """All files of the folders of `paths`, as far as there are such."""
    places = [folder for folder in dict.fromkeys(path.parent for path in paths) if folder.is_dir()]
    return [path for folder in places for path in folders.files_in(folder)]


def label_path(root: Path, picture: Path) -> Path:
    """The text file of a picture: the last folder `images` becomes `labels`; else it lies beside the picture."""
    parts = list(picture.relative_to(root).with_suffix(".txt").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part.casefold() == "images"]
    if places:
        parts[places[-1]] = "labels"
    return root.joinpath(*parts)


def _parsed_line(line: str, where: str) -> tuple[int, Corners, bool]:
    """Class number, corners in shares, and whether they are those around an outline."""
    try:
        number, *values = map(float, line.split())
    except ValueError:
        raise DataError(f"{where}: '{quoted(line)}' is no row of numbers") from None
    if not (number >= 0 and number.is_integer()):
        raise DataError(f"{where}: the class is {number:g}: a whole number from 0 is expected")
    if len(values) == 4:
        x, y, width, height = values
        return int(number), (x - width / 2, y - height / 2, x + width / 2, y + height / 2), False
    if len(values) < 6 or len(values) % 2:
        raise DataError(f"{where}: {len(values) + 1} numbers: a class and four are expected, or a class and an outline")
    if strange := [value for value in values if not math.isfinite(value)]:  # which min and max may pass over
        return int(number), (strange[0],) * 4, True
    return int(number), (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])), True
