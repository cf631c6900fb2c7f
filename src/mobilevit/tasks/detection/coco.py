"""Reads COCO's JSON: `annotations/instances_train2017.json` beside `train2017/`, or one file beside its pictures.

Roboflow's `train/_annotations.coco.json` is the latter, split by split.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilevit.data import folders
from mobilevit.data.finding import listed
from mobilevit.data.splitting import split_named
from mobilevit.errors import DataError
from mobilevit.tasks.detection.annotation import (
    MAX_SIZE_PX,
    TRAINVAL,
    WHOLE,
    Annotation,
    Corners,
    Size,
    Statements,
    checked_names,
    class_name,
    path_inside,
    quoted,
    read_bytes,
    written,
)
from mobilevit.tasks.detection.notes import Notes

LAYOUT = "annotations/instances_train.json or train/_annotations.coco.json"
HEAD_BYTES = 2**16  # of a file, within which one of COCO's lists begins
HEAD = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')

Record = Mapping[str, Any]


def fits(root: Path) -> bool:
    """Whether there is COCO's JSON where it is looked for."""
    return any(_candidates(root))


def read(root: Path) -> Statements:
    """What the files at `root` state; the classes in the order of COCO's category ids."""
    documents = [_Document.read(path, split) for split, path in _files(root)]
    ids = _class_ids(documents)
    notes = Notes()
    splits = {document.split: document.annotations(root, ids, notes) for document in documents}
    names = checked_names([_names(documents)[identity] for identity in ids], documents[0].path)
    return Statements(names, splits, notes, tuple(document.path for document in documents))


def _files(root: Path) -> list[tuple[str, Path]]:
    """The split of each file, and the file; DataError where names leave it open."""
    found = [(_split_of(root, path), path) for path in _candidates(root)]
    if not found:
        raise DataError(f"{root} has no COCO annotations: expected {LAYOUT}")
    named = [(split, path) for split, path in found if split is not None]
    if not named and len(found) == 1:
        return [(WHOLE, found[0][1])]
    if not named:
        names = listed([path.name for _, path in found])
        raise DataError(f"{root}: which splits are {names}? Name the files train.json, val.json and test.json")
    for split, path in named:
        others = [other.name for name, other in named if name == split and other != path]
        if others:
            raise DataError(f"{path.name} and {listed(others)} in {root} could both be the {split} split: keep one")
    return named


def _candidates(root: Path) -> Iterator[Path]:
    """Files of COCO's shape in the first of the places that has any."""
    inside = folders.sub_folders(root)
    places = [
        [folder for folder in inside if folder.name.casefold() == "annotations"],
        [folder for folder in inside if split_named(folder.name)],
        [root],
    ]
    for place in places:
        files = [path for folder in place for path in folders.files_in(folder) if _looks_like_coco(path)]
        instances = [path for path in files if path.name.startswith("instances_")]  # beside captions and keypoints
        if files:
            yield from instances or files
            return


def _looks_like_coco(path: Path) -> bool:
    """By what it holds. A file of a name that only COCO has is read in any case, and says what is wrong with it."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    if path.name == "_annotations.coco.json" or path.name.startswith("instances_"):
        return True
    with path.open("rb") as file:
        return HEAD.search(file.read(HEAD_BYTES)) is not None


def _split_of(root: Path, path: Path) -> str | None:
    """By the folder's name, or by the words in the file's."""
    if path.parent != root and (split := split_named(path.parent.name)):
        return split
    words = re.split(r"[^a-z]+", path.stem.casefold())
    return TRAINVAL if TRAINVAL in words else next(filter(None, map(split_named, words)), None)


@dataclass(frozen=True)
class _Document:
    """One file, its lists and records of the right types."""

    path: Path
    split: str
    images: Mapping[int | str, Record]
    boxes: Sequence[Record]
    categories: Mapping[int, Record]

    @classmethod
    def read(cls, path: Path, split: str) -> "_Document":
        content = _parsed(path)
        return cls(
            path,
            split,
            _by_id(path, "images", content),
            _records(path, "annotations", content),
            _by_id(path, "categories", content),
        )

    def annotations(self, root: Path, class_ids: Sequence[int], notes: Notes) -> list[Annotation]:
        index = {identity: place for place, identity in enumerate(class_ids)}
        folder = self._pictures_folder(root)
        of_picture: dict[int | str, tuple[list[Corners], list[int], list[bool]]] = {
            key: ([], [], []) for key in self.images
        }
        paths = {key: self._picture(root, folder, image) for key, image in self.images.items()}
        for record in self.boxes:
            picture, category = record.get("image_id"), record.get("category_id")
            if not isinstance(picture, (int, str)) or picture not in of_picture:
                notes.add("unlisted-picture", self.path)
            elif not isinstance(category, int) or category not in index:
                notes.add("unknown-class", paths[picture])
            else:
                corners, labels, ignore = of_picture[picture]
                corners.append(self._corners(record))
                labels.append(index[category])
                ignore.append(self._crowd(record))
        return [
            Annotation(paths[key], paths[key], *of_picture[key], size=self._size(image))
            for key, image in self.images.items()
        ]

    def _pictures_folder(self, root: Path) -> Path:
        """Where most of the first pictures lie; beside the file where none is found."""
        beside = self.path.parent
        roots = [beside] if beside != root and split_named(beside.name) else [root, *folders.sub_folders(root)]
        inner = [folder for outer in roots for folder in folders.sub_folders(outer)]
        word = self.path.stem.removeprefix("instances_")
        ours = [folder for folder in (*roots, *inner) if folder.name == word or split_named(folder.name) == self.split]
        places = list(dict.fromkeys([*ours, beside, *roots, *inner]))
        names = [str(image.get("file_name")) for image in list(self.images.values())[:FIRST]]
        hits = [
            sum((place / name.replace("\\", "/")).is_file() for name in names if "\0" not in name) for place in places
        ]
        return places[hits.index(max(hits))] if any(hits) else beside

    def _picture(self, root: Path, folder: Path, image: Record) -> Path:
        name, where = image.get("file_name"), f"{self.path}: image {written(image['id'])}"
        if not isinstance(name, str):
            raise DataError(f"{where} has the file_name {written(name)}: a path is expected")
        return path_inside(root, folder, name, where)

    def _size(self, image: Record) -> Size | None:
        """As stated; None where it is not, or where it is nought."""
        sides = [image.get("width") or 0, image.get("height") or 0]
        if not all(_is_number(side) and 0 <= side <= MAX_SIZE_PX for side in sides):
            stated = " x ".join(map(written, sides))
            raise DataError(f"{self.path}: image {written(image['id'])} has the size {stated}: pixels are expected")
        width, height = map(round, sides)
        return (width, height) if width and height else None

    def _corners(self, record: Record) -> Corners:
        bbox = record.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
            raise DataError(
                f"{self.path}: annotation {written(record.get('id'))} has the bbox {written(bbox)}: "
                "four numbers are expected, left, top, width and height"
            )
        left, top, width, height = map(_float, bbox)
        return left, top, left + width, top + height

    def _crowd(self, record: Record) -> bool:
        crowd = record.get("iscrowd", 0)
        if crowd not in (0, 1):
            stated = written(crowd)
            raise DataError(
                f"{self.path}: annotation {written(record.get('id'))} has iscrowd {stated}: 0 or 1 is expected"
            )
        return bool(crowd)


FIRST = 20  # pictures that decide which folder they lie in


def _parsed(path: Path) -> Record:
    """The file's outermost object. Outlines are dropped while it is read: they are most of it."""
    try:
        content = json.loads(read_bytes(path), object_hook=_without_outline)
    except RecursionError:
        raise DataError(f"{path} is refused, because its lists are nested too deep") from None
    except ValueError as error:  # a JSONDecodeError names line and column
        raise DataError(f"{path} is no whole JSON file ({quoted(error, 100)}): copy or export it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no COCO file: an object with images, annotations and categories is expected")
    return content


def _without_outline(record: dict[str, Any]) -> dict[str, Any]:
    record.pop("segmentation", None)
    return record


def _records(path: Path, key: str, content: Record) -> list[Record]:
    records = content.get(key)
    if not isinstance(records, list):
        raise DataError(f"{path} has no list '{key}': export it again as COCO")
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}: {key}[{index}] is {written(record)}: an object is expected")
    return records


def _by_id(path: Path, key: str, content: Record) -> dict[Any, Record]:
    found: dict[Any, Record] = {}
    kinds = (int, str) if key == "images" else int
    for index, record in enumerate(_records(path, key, content)):
        identity = record.get("id")
        if not isinstance(identity, kinds) or isinstance(identity, bool):
            raise DataError(f"{path}: {key}[{index}] has the id {written(identity)}: a whole number is expected")
        if identity in found:
            raise DataError(f"{path}: two of the {key} have the id {written(identity)}: ids must differ")
        found[identity] = record
    return found


def _class_ids(documents: Sequence[_Document]) -> list[int]:
    """Category ids in their order. Roboflow's first, which is only what the others are kinds of, is left out."""
    names, used = (
        _names(documents),
        {record.get("category_id") for one in documents for record in one.boxes if _hashable(record)},
    )
    ids = sorted(names)
    above = (
        {_above(record) for one in documents for key, record in one.categories.items() if key != ids[0]}
        if ids
        else set()
    )
    if len(ids) > 1 and ids[0] == 0 and 0 not in used and above == {names[0]}:
        return ids[1:]
    return ids


def _hashable(record: Record) -> bool:
    return isinstance(record.get("category_id"), int)


def _above(record: Record) -> str:
    return class_name(str(record.get("supercategory", "")))


def _names(documents: Sequence[_Document]) -> dict[int, str]:
    """The name of each category id; DataError where two files disagree."""
    names: dict[int, str] = {}
    for document in documents:
        for identity, record in document.categories.items():
            stated = record.get("name")
            if not isinstance(stated, (str, int, float)):
                raise DataError(f"{document.path}: category {identity} has the name {written(stated)}")
            name = class_name(str(stated))
            if names.setdefault(identity, name) != name:
                raise DataError(
                    f"{document.path} calls category {identity} '{quoted(name)}', "
                    f"another split '{quoted(names[identity])}': give all splits the same categories"
                )
    return names


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _float(value: float) -> float:
    """As a float; a whole number too large for one is as good as infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
