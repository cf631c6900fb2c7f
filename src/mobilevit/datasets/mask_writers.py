"""Writes a dataset of masks in any of the formats: index PNG, Pascal VOC's palette PNG, COCO's runs and polygons."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobilevit.datasets import class_files
from mobilevit.datasets.annotation_records import TRAINVAL
from mobilevit.datasets.coco_masks import BACKGROUNDS
from mobilevit.datasets.mask_target import IGNORED, Classes, Mask
from mobilevit.datasets.palette import PALETTE
from mobilevit.datasets.placing import Placed, Splits, Writer, lines, write
from mobilevit.datasets.polygons import outlines
from mobilevit.datasets.runs import Where, packed, runs_of
from mobilevit.errors import DataError, OutputError
from mobilevit.images import decoding
from mobilevit.images.threads import in_threads
from mobilevit.text import to_json


def _index(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`masks/<split>/`: PNG of one channel whose values are the classes, and `classes.txt`."""
    _class_names(root, names)
    pairs = [(one, root / "masks" / split / one.name) for split, samples in splits.items() for one in samples]
    in_threads(lambda pair: _store(Image.fromarray(_read(pair[0])), pair[1]), pairs)


def _voc(root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`SegmentationClass/`: palette PNG, and the lists of `ImageSets/Segmentation/`, beside `classes.txt`."""
    _class_names(root, names)
    lists = {split: [one.name.with_suffix("").as_posix() for one in samples] for split, samples in splits.items()}
    if {"train", "val"} <= lists.keys():
        lists[TRAINVAL] = lists["train"] + lists["val"]
    for split, stems in lists.items():
        write(root / "ImageSets" / "Segmentation" / f"{split}.txt", lines(stems))
    pairs = [(one, root / "SegmentationClass" / one.name) for samples in splits.values() for one in samples]
    in_threads(lambda pair: _store(_in_palette(_read(pair[0])), pair[1]), pairs)


def _in_palette(classes: Classes) -> Image.Image:
    image = Image.fromarray(classes).convert("L")
    image.putpalette([part for color in PALETTE for part in color])
    return image


def _store(mask: Image.Image, path: Path) -> None:
    path = path.with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    mask.save(path, "PNG")


def _read(one: Placed) -> Classes:
    """(H, W) uint8; ImageError where the mask is broken, or of another size than the image."""
    target: Mask = one.target
    return target.read_for(decoding.header(one.source).size)


def _class_names(root: Path, names: Sequence[str]) -> None:
    """`classes.txt` with the names alone, or with numbers where a name would be read as something else."""
    path = root / class_files.OWN
    for texts in (names, [f"{value} {name}" for value, name in enumerate(names)]):
        write(path, lines(texts))
        try:
            found = class_files.read(path)
        except DataError:
            continue
        if found.names == tuple(names) and not (found.colors or found.ignored_values or found.notes):
            return
    raise OutputError(f"{path.name} cannot store these class names: rename those that look like colors or comments")


Segmentation = list[list[float]] | Mapping[str, Any]


def _coco(outline: Callable[[Where], Segmentation], root: Path, splits: Splits, names: Sequence[str]) -> None:
    """`annotations/instances_<split>.json`; ids count from one. An annotation for each class of an image.

    The background has none, if the class is called so. Pixels to ignore are a crowd, of whatever class, in runs.
    """
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(names, start=1)]
    background = next((index for index, name in enumerate(names) if name.casefold() in BACKGROUNDS), None)
    for split, samples in splits.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        found = in_threads(lambda one: _annotated(_read(one), background, outline), samples)
        for number, (one, ((width, height), records)) in enumerate(zip(samples, found, strict=True), start=1):
            images.append({"id": number, "file_name": one.name.as_posix(), "width": width, "height": height})
            for record in records:
                annotations.append({"id": len(annotations) + 1, "image_id": number, **record})
        content = {"images": images, "annotations": annotations, "categories": categories}
        write(root / "annotations" / f"instances_{split}.json", to_json(content))


def _annotated(
    classes: Classes, background: int | None, outline: Callable[[Where], Segmentation]
) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """The (width, height) of a mask, and a record of each of its classes but the background."""
    height, width = classes.shape
    values = [value for value in np.unique(classes).tolist() if value != background]
    return (width, height), [_record(classes == value, value, background, outline) for value in values]


def _record(
    where: Where, value: int, background: int | None, outline: Callable[[Where], Segmentation]
) -> dict[str, Any]:
    rows, columns = np.flatnonzero(where.any(axis=1)).tolist(), np.flatnonzero(where.any(axis=0)).tolist()
    left, top = columns[0], rows[0]
    is_crowd = value == IGNORED
    index = (1 if background == 0 else 0) if is_crowd else value
    return {
        "category_id": index + 1,
        "bbox": [left, top, columns[-1] + 1 - left, rows[-1] + 1 - top],
        "area": int(where.sum()),
        "iscrowd": int(is_crowd),
        "segmentation": _in_runs(where) if is_crowd else outline(where),
    }


def _in_runs(where: Where) -> Segmentation:
    return {"size": list(where.shape), "counts": packed(runs_of(where))}


def _in_polygons(where: Where) -> Segmentation:
    return [[value for corner in loop for value in corner] for loop in outlines(where)]


WRITERS: Mapping[str, Writer] = {
    "masks": Writer("images/{split}", _index),
    "voc": Writer("JPEGImages", _voc, is_flat=True),
    "coco": Writer("{split}", partial(_coco, _in_runs)),
    "coco-polygons": Writer("{split}", partial(_coco, _in_polygons)),
}
