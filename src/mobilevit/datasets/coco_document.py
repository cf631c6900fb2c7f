"""One COCO file: its lists, validated record by record, and the annotations of each image."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilevit.datasets.annotation_records import MAX_IMAGE_SIZE, Annotation, Corners, Size, written
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.outlines import around_segmentation, as_float, is_number
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import read_json
from mobilevit.errors import DataError
from mobilevit.images import folders

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """One file, its lists and records of the right types."""

    path: Path
    split: str
    images: Mapping[int | str, Record]
    boxes: Sequence[Record]
    categories: Mapping[int, Record]

    @classmethod
    def read(cls, path: Path, split: str, *, outlines: bool = False) -> "Document":
        """DataError where a list is missing, a record or an id is of the wrong kind, or no image is listed.

        Without `outlines` those are dropped while the file is read, since they are most of it.
        """
        content = _parsed(path, outlines=outlines)
        _refuse_others(path, content)
        images, boxes = _by_id(path, "images", content), _records(path, "annotations", content)
        categories = _by_id(path, "categories", content)
        if not images:
            raise DataError(f"{path} lists no images ('images' is empty): export it again, or remove the file")
        ids: Mapping[str, Collection[type]] = {"image_id": {type(one) for one in images}, "category_id": {int}}
        for record in boxes:
            for key, kinds in ids.items():
                if type(record.get(key)) not in kinds:
                    raise _wrong_id(record, key, kinds, f"{path}: {place_of(record)}")
        return cls(path, split, images, boxes, categories)

    def annotations(self, images: ImagePaths, class_ids: Sequence[int]) -> list[Annotation]:
        index, notes = {identity: place for place, identity in enumerate(class_ids)}, images.notes
        of_image: dict[int | str, tuple[list[Corners], list[int], list[bool], list[object]]] = {
            key: ([], [], [], []) for key in self.images
        }
        paths = self.paths(images)
        for record in self.known(class_ids, paths, notes):
            image_id = record["image_id"]
            corners, labels, ignore, ids = of_image[image_id]
            corners.append(self._corners(record))
            notes.add("polygon", paths[image_id], OUTLINED in record, [place_of(record)])
            labels.append(index[record["category_id"]])
            ignore.append(self.is_crowd(record))
            ids.append(record.get("id"))
        return [
            Annotation(path, path, boxes, labels, ignore, self.size_of(image), record="annotation", numbers=ids)
            for path, (boxes, labels, ignore, ids), image in zip(
                paths.values(), of_image.values(), self.images.values(), strict=True
            )
        ]

    def paths(self, images: ImagePaths) -> dict[int | str, Path]:
        """Where the image of each id lies, or should lie."""
        folder = self._images_folder(images.listing.root)
        paths = {key: self._image(images, folder, image) for key, image in self.images.items()}
        images.refuse_outside()
        return paths

    def known(self, class_ids: Sequence[int], paths: Mapping[int | str, Path], notes: Repairs) -> Iterator[Record]:
        """The annotations of images and classes that the file lists; others are noted."""
        ids = set(class_ids)
        for record in self.boxes:
            image, category = record["image_id"], record["category_id"]
            if image not in paths:
                notes.add("unlisted-image", self.path, places=[f"{place_of(record)} (image_id {written(image)})"])
            elif category not in ids:
                place = f"{place_of(record)} (category_id {written(category)})"
                notes.add("unknown-class", paths[image], places=[place])
            else:
                yield record

    def _images_folder(self, root: Path) -> Path:
        """Where most of the first images lie; beside the file where none is found.

        DataError where that could be two folders, none of them called `images` or by the split.
        """
        beside = self.path.parent
        roots = [beside] if beside != root and split_named(beside.name) else [root, *folders.sub_folders(root)]
        inner = [folder for outer in roots for folder in folders.sub_folders(outer)]
        word = self.path.stem.removeprefix("instances_")
        ours = [folder for folder in (*roots, *inner) if folder.name == word or split_named(folder.name) == self.split]
        usual = [*ours, beside, *roots[:1], *(folder for folder in roots if folder.name.casefold() == IMAGES)]
        places = list(dict.fromkeys([*usual, *roots, *inner]))
        names = [str(image.get("file_name")).replace("\\", "/") for image in list(self.images.values())[:FIRST]]
        names = [name for name in names if "\0" not in name]
        hits = {place: [name for name in names if os.path.isfile(place / name)] for place in places}  # noqa: PTH113
        best = max(places, key=lambda place: len(hits[place]))  # the first of them
        same = [place for place in places if hits[place] and hits[place] == hits[best]]
        if len(same) > 1 and best not in usual:
            raise DataError(
                f"{self.path}: the images could be in {same[0]} or in {same[1]}: keep one, or rename it to {IMAGES}"
            )
        return best if hits[best] else beside

    def _image(self, images: ImagePaths, folder: Path, image: Record) -> Path:
        name, where = image.get("file_name"), f"{self.path}: image {written(image['id'])}"
        if not isinstance(name, str):
            raise DataError(f"{where} has the file_name {written(name)}: a path is expected")
        return images.find(name, folder, where, self.split)

    def size_of(self, image: Record) -> Size | None:
        """As stated; None where it is not, or where it is nought."""
        sides = [image.get("width") or 0, image.get("height") or 0]
        if not all(is_number(side) and 0 <= side <= MAX_IMAGE_SIZE for side in sides):
            stated = " x ".join(map(written, sides))
            raise DataError(f"{self.path}: image {written(image['id'])} has the size {stated}: pixels are expected")
        width, height = map(round, sides)
        return (width, height) if width and height else None

    def _corners(self, record: Record) -> Corners:
        bbox = record.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(is_number, bbox)):
            raise DataError(
                f"{self.path}: {place_of(record)} has the bbox {written(bbox)}: "
                "four numbers are expected, left, top, width and height, or an outline in its place"
            )
        left, top, width, height = map(as_float, bbox)
        return left, top, left + width, top + height

    def is_crowd(self, record: Record) -> bool:
        crowd = record.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise DataError(f"{self.path}: {place_of(record)} has iscrowd {written(crowd)}: 0 or 1 is expected")
        return bool(crowd)


IMAGES = "images"  # the folder that counts where several could
FIRST = 20  # images that decide which folder they lie in


OUTLINED = "box of the outline"  # the key that says where a record's bbox came from


def _parsed(path: Path, *, outlines: bool) -> Record:
    """The file's outermost object."""
    content = read_json(path, hook=None if outlines else _without_outline)
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a COCO file: an object with images, annotations and categories is expected")
    return content


def _refuse_others(path: Path, content: Record) -> None:
    """DataError for COCO's files of another purpose, which have lists of the same names."""
    records = content.get("annotations")
    for record in records[:1] if isinstance(records, list) else ():
        for key in OTHERS.keys() & record.keys() if isinstance(record, dict) else ():
            raise DataError(f"{path} {OTHERS[key]}")


OTHERS = {  # by a key of its annotations what a file is, and what to do
    "segments_info": "is COCO panoptic: its segments are pixels of PNG files, which are not read. Give the "
    "instances_*.json of the same images; or make masks of classes from it, such as with panopticapi",
    "caption": "has captions, not boxes: use the instances_*.json of the same images",
}


def _without_outline(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose box, where it has none of its own, is the one around its outline."""
    outline = record.pop("segmentation", None)
    if outline and not _has_box(record.get("bbox")) and (corners := around_segmentation(outline)):
        left, top, right, bottom = corners
        record |= {"bbox": [left, top, right - left, bottom - top], OUTLINED: True}
    return record


def _has_box(bbox: object) -> bool:
    """Whether something is stated: some tools write [] or four noughts beside an outline."""
    return bbox is not None and bbox not in ([], [0, 0, 0, 0])


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
    records = _records(path, key, content)
    are_texts = key == "images" and not any(type(record.get("id")) is int for record in records)
    kinds = {int, str} if are_texts else {int}
    for index, record in enumerate(records):
        identity = record.get("id")
        if type(identity) not in kinds:
            raise _wrong_id(record, "id", kinds, f"{path}: {key}[{index}]")
        if identity in found:
            raise DataError(f"{path}: two of the {key} have the id {written(identity)}: ids must be unique")
        found[identity] = record
    return found


def _wrong_id(record: Record, key: str, kinds: Collection[type], where: str) -> DataError:
    """The error for an id that is of none of the `kinds`: a whole number, a text, or either."""
    stated = record.get(key)
    hint = "a whole number is expected" if int in kinds else "a string is expected, as for the ids of the images"
    remedy = ", not text: remove the quotes" if isinstance(stated, str) else ""
    return DataError(f"{where} has the {key} {written(stated)}: {hint}{remedy}")


def place_of(record: Record) -> str:
    """What a message calls a box."""
    return f"annotation {written(record.get('id'))}"
