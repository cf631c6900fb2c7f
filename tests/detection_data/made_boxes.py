"""Small detection datasets that tests make, format by format."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from mobilevit.datasets import box_reader
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset

BBox = Sequence[float]


def image(path: Path, size: tuple[int, int] = (64, 48), *, orientation: int = 1) -> Path:
    """An image of one color; the orientation is written where it is not 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "teal")
    exif = image.getexif()
    if orientation != 1:
        exif[0x0112] = orientation
    image.save(path, exif=exif)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def coco(path: Path, boxes: Mapping[str, Sequence[tuple[int, BBox]]], **changes: Any) -> Path:
    """COCO's JSON of (category id, bbox) by file name; cat is 3, dog 7; `changes` replace its lists."""
    images = [{"id": number, "file_name": name, "width": 64, "height": 48} for number, name in enumerate(boxes)]
    annotations = [
        {"id": 100 * number + place, "image_id": number, "category_id": category, "bbox": list(bbox), "iscrowd": 0}
        for number, some in enumerate(boxes.values())
        for place, (category, bbox) in enumerate(some)
    ]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    content = {"images": images, "annotations": annotations, "categories": categories} | changes
    return write(path, json.dumps(content))


def voc(
    path: Path, objects: Sequence[tuple[str, BBox]], *, size: str = "64 48", name: str = "", more: str = ""
) -> Path:
    """VOC's XML of (class, xmin ymin xmax ymax)."""
    width, height = size.split()
    parts = [f"<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height></size>"]
    for label, corners in objects:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        parts.append(f"<object><name>{label}</name>{more}<bndbox>{box}</bndbox></object>")
    return write(path, "".join(parts) + "</annotation>")


def read(root: Path, **options: Any) -> Dataset:
    return box_reader.read(root, ReadOptions(**options))


def by_name(dataset: Dataset, split: str) -> dict[str, Boxes]:
    return {sample.path.stem: sample.target for sample in dataset.splits[split]}


def notes(dataset: Dataset) -> dict[str, str]:
    """Message by kind."""
    return {finding.kind: finding.message for finding in dataset.notes}


def names(dataset: Dataset) -> list[str]:
    return [label.name for label in dataset.classes]


def sizes(dataset: Dataset) -> dict[str, int]:
    return {split: len(samples) for split, samples in dataset.splits.items()}
