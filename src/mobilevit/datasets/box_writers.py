"""Writes a dataset of boxes in any of the formats, laid out as its own tools expect it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import yaml

from mobilevit.datasets import voc_boxes
from mobilevit.datasets.annotation_records import TRAINVAL
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.placing import Placed, Splits, Writer, lines, plain, write
from mobilevit.text import to_json


def _coco(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`annotations/instances_<split>.json`; ids count from one. A crowd is `iscrowd`."""
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, start=1)]
    for split, samples in splits.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, one in enumerate(samples, start=1):
            width, height = one.target.size
            images.append({"id": number, "file_name": one.name.as_posix(), "width": width, "height": height})
            for record in _coco_boxes(one.target):
                annotations.append({"id": len(annotations) + 1, "image_id": number, **record})
        content = {"images": images, "annotations": annotations, "categories": categories}
        write(root / "annotations" / f"instances_{split}.json", to_json(content))


def _coco_boxes(boxes: Boxes) -> Iterator[dict[str, Any]]:
    for (left, top, right, bottom), label, ignore in zip(*_lists(boxes), strict=True):
        bbox = [plain(value) for value in (left, top, right - left, bottom - top)]
        area = plain((right - left) * (bottom - top))
        yield {"category_id": label + 1, "bbox": bbox, "area": area, "iscrowd": int(ignore), "segmentation": []}


def _voc(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`Annotations/`, the lists of `ImageSets/Main/`, and the classes in their order."""
    lists = {split: [one.name.with_suffix("").as_posix() for one in samples] for split, samples in splits.items()}
    if {"train", "val"} <= lists.keys():
        lists[TRAINVAL] = lists["train"] + lists["val"]
    for split, names_of_split in lists.items():
        write(root / "ImageSets" / "Main" / f"{split}.txt", lines(names_of_split))
    write(root / voc_boxes.CLASSES, lines(names))
    for samples in splits.values():
        for one in samples:
            annotation = _voc_annotation(one, names)
            ElementTree.indent(annotation, "\t")
            text = ElementTree.tostring(annotation, encoding="unicode")
            write((root / "Annotations" / one.name).with_suffix(".xml"), text + "\n")


def _voc_annotation(one: Placed, names: Sequence[str]) -> Element:
    root = Element("annotation")
    SubElement(root, "folder").text = one.name.parent.name
    SubElement(root, "filename").text = one.name.name
    size = SubElement(root, "size")
    for key, value in zip(("width", "height", "depth"), (*one.target.size, 3), strict=True):
        SubElement(size, key).text = str(value)
    for (left, top, right, bottom), label, ignore in zip(*_lists(one.target), strict=True):
        if right - left <= 1 or bottom - top <= 1:
            continue  # see _lost_in_voc
        thing = SubElement(root, "object")
        SubElement(thing, "name").text = names[label]
        SubElement(thing, "difficult").text = str(int(ignore))
        box = SubElement(thing, "bndbox")
        corners = (left + 1, top + 1, right, bottom)
        for key, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            SubElement(box, key).text = str(plain(corner))
    return root


def _yolo(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`labels/<split>/` and `data.yaml`. There is no way to say that a box is to be ignored: such are left out."""
    folders = {split: f"images/{split}" for split, samples in splits.items() if samples}
    content = {**folders, "names": dict(enumerate(names))}  # without `path`, they are relative to this file
    write(root / "data.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    for split, samples in splits.items():
        for one in samples:
            path = (root / "labels" / split / one.name).with_suffix(".txt")
            write(path, lines(_yolo_lines(one.target.counted())))


def _yolo_lines(boxes: Boxes) -> Iterator[str]:
    width, height = boxes.size
    for (left, top, right, bottom), label, _ in zip(*_lists(boxes), strict=True):
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        yield " ".join([str(label), *map(str, map(plain, shares))])


def _lost_in_voc(boxes: Boxes) -> int:
    """A box of one pixel or less, of which VOC would give both ends the same number, or exchange them."""
    return int(((boxes.boxes[:, 2:] - boxes.boxes[:, :2]) <= 1).any(axis=1).sum())


WRITERS: Mapping[str, Writer] = {
    "coco": Writer("{split}", _coco),
    "voc": Writer("JPEGImages", _voc, _lost_in_voc),
    "yolo": Writer("images/{split}", _yolo, lambda boxes: int(boxes.ignore.sum())),
}


def _lists(boxes: Boxes) -> tuple[list[list[float]], list[int], list[bool]]:
    """As Python's numbers, in which float32 and its sums are exact."""
    return boxes.boxes.astype(float).tolist(), boxes.labels.tolist(), boxes.ignore.tolist()
