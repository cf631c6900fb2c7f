"""Writes a data set in any of the formats, laid out as its own tools expect it."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import yaml

from mobilevit.data.sample import Dataset, Sample
from mobilevit.datasets.annotation import TRAINVAL
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError
from mobilevit.tasks.detection import voc
from mobilevit.tasks.detection.target import Boxes


@dataclass(frozen=True)
class Placed:
    """A sample and where its picture goes, below the folder of its split's pictures."""

    source: Path
    name: Path  # with the suffix; without it no other has the same
    boxes: Boxes


Splits = Mapping[str, Sequence[Placed]]


@dataclass(frozen=True)
class Writer:
    """How a format is written."""

    pictures: str  # folder of a split's pictures, "{split}" replaced by its name
    annotations: Callable[[Path, Splits, Sequence[str]], None]
    lost: Callable[[Boxes], int]  # boxes that the format cannot hold

    def folder(self, root: Path, split: str) -> Path:
        return root / self.pictures.format(split=split)

    def placed(self, dataset: Dataset) -> dict[str, list[Placed]]:
        """The samples of each split, with names that differ wherever they share a folder."""
        shared: dict[str, set[str]] = {}
        splits = {}
        for split, samples in dataset.splits.items():
            taken = shared.setdefault(self.pictures.format(split=split), set())
            splits[split] = [Placed(sample.path, _free(name, taken), sample.target) for sample, name in _named(samples)]
        return splits


def _named(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Path]]:
    """Each sample with its path below the folder that all have in common."""
    common = os.path.commonpath([sample.path.parent for sample in samples]) if samples else ""
    return ((sample, sample.path.relative_to(common)) for sample in samples)


def _free(name: Path, taken: set[str]) -> Path:
    """The name, or the first free one of name-2, name-3, ...: the suffix and the case of letters tell none apart.

    What no list of names could hold, such as a line break, becomes an underscore.
    """
    name = Path(
        *("".join(letter if letter.isprintable() and letter != "\\" else "_" for letter in part) for part in name.parts)
    )
    number, free = 1, name
    while free.with_suffix("").as_posix().casefold() in taken:
        number += 1
        free = name.with_name(f"{name.stem}-{number}{name.suffix}")
    taken.add(free.with_suffix("").as_posix().casefold())
    return free


def copy_picture(source: Path, target: Path, *, link: bool) -> None:
    """A copy, or a second name for the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        os.link(source.resolve(), target)
    else:
        shutil.copyfile(source, target)


def _coco(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`annotations/instances_<split>.json`; ids count from one. A crowd is `iscrowd`."""
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, start=1)]
    for split, samples in splits.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, one in enumerate(samples, start=1):
            width, height = one.boxes.size
            images.append({"id": number, "file_name": one.name.as_posix(), "width": width, "height": height})
            for record in _coco_boxes(one.boxes):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **record})
        content = {"images": images, "annotations": annotations, "categories": categories}
        _write(root / "annotations" / f"instances_{split}.json", json.dumps(content, ensure_ascii=False))


def _coco_boxes(boxes: Boxes) -> Iterator[dict[str, Any]]:
    for (left, top, right, bottom), label, ignore in zip(*_lists(boxes), strict=True):
        bbox = [_plain(value) for value in (left, top, right - left, bottom - top)]
        area = _plain((right - left) * (bottom - top))
        yield {"category_id": label + 1, "bbox": bbox, "area": area, "iscrowd": int(ignore), "segmentation": []}


def _voc(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`Annotations/`, the lists of `ImageSets/Main/`, and the classes in their order."""
    lists = {split: [one.name.with_suffix("").as_posix() for one in samples] for split, samples in splits.items()}
    if {"train", "val"} <= lists.keys():
        lists[TRAINVAL] = lists["train"] + lists["val"]
    for split, lines in lists.items():
        _write(root / "ImageSets" / "Main" / f"{split}.txt", _lines(lines))
    _write(root / voc.CLASSES, _lines(names))
    for samples in splits.values():
        for one in samples:
            annotation = _voc_annotation(one, names)
            ElementTree.indent(annotation, "\t")
            text = ElementTree.tostring(annotation, encoding="unicode")
            _write((root / "Annotations" / one.name).with_suffix(".xml"), text + "\n")


def _voc_annotation(one: Placed, names: Sequence[str]) -> Element:
    root = Element("annotation")
    SubElement(root, "folder").text = one.name.parent.name
    SubElement(root, "filename").text = one.name.name
    size = SubElement(root, "size")
    for key, value in zip(("width", "height", "depth"), (*one.boxes.size, 3), strict=True):
        SubElement(size, key).text = str(value)
    for (left, top, right, bottom), label, ignore in zip(*_lists(one.boxes), strict=True):
        if right - left <= 1 or bottom - top <= 1:
            continue  # see _lost_in_voc
        thing = SubElement(root, "object")
        SubElement(thing, "name").text = names[label]
        SubElement(thing, "difficult").text = str(int(ignore))
        box = SubElement(thing, "bndbox")
        corners = (left + 1, top + 1, right, bottom)
        for key, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            SubElement(box, key).text = str(_plain(corner))
    return root


def _yolo(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`labels/<split>/` and `data.yaml`. There is no way to say that a box is to be ignored: such are left out."""
    folders = {split: f"images/{split}" for split, samples in splits.items() if samples}
    content = {**folders, "names": dict(enumerate(names))}  # without `path`, they are relative to this file
    _write(root / "data.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    for split, samples in splits.items():
        for one in samples:
            path = (root / "labels" / split / one.name).with_suffix(".txt")
            _write(path, _lines(_yolo_lines(one.boxes.counted())))


def _yolo_lines(boxes: Boxes) -> Iterator[str]:
    width, height = boxes.size
    for (left, top, right, bottom), label, _ in zip(*_lists(boxes), strict=True):
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        yield " ".join([str(label), *map(str, map(_plain, shares))])


def _lost_in_voc(boxes: Boxes) -> int:
    """A box of one pixel or less, of which VOC would give both ends the same number, or exchange them."""
    return int(((boxes.boxes[:, 2:] - boxes.boxes[:, :2]) <= 1).any(axis=1).sum())


WRITERS: Mapping[str, Writer] = {
    "coco": Writer("{split}", _coco, lambda boxes: 0),  # noqa: ARG005
    "voc": Writer("JPEGImages", _voc, _lost_in_voc),
    "yolo": Writer("images/{split}", _yolo, lambda boxes: int(boxes.ignore.sum())),
}


def _lists(boxes: Boxes) -> tuple[list[list[float]], list[int], list[bool]]:
    """As Python's numbers, in which float32 and its sums are exact."""
    return boxes.boxes.astype(float).tolist(), boxes.labels.tolist(), boxes.ignore.tolist()


def _plain(value: float) -> float | int:
    """A whole number without a point."""
    return int(value) if value.is_integer() else value


def _lines(lines: Sequence[str] | Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path.name} cannot be written as UTF-8 ({quoted(error, 100)}): rename the file or class"
        ) from error
