"""Reads detection datasets: recognizes the format, the splits and the images, by the rules of docs/data.md."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets import (
    box_repair,
    coco_boxes,
    companions,
    createml,
    csv_boxes,
    cvat,
    label_studio,
    labelme,
    via,
    voc_boxes,
    yolo,
)
from mobilevit.datasets.annotation_records import TRAINVAL, WHOLE, Annotation, Statements
from mobilevit.datasets.finding import Finding, counted, listed
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.splitting import SPLIT_NAMES, split_by_seed
from mobilevit.errors import DataError, unknown
from mobilevit.images import folders
from mobilevit.spec import labels

TASK = "detection"


@dataclass(frozen=True)
class BoxFormat:
    """A way of writing boxes down."""

    fits: Callable[[Listing], bool]
    read: Callable[[Listing], Statements]
    layout: str  # for people
    is_sure: bool = (
        True  # of the others one is read only where none of these is there: they may be what those came from
    )


FORMATS: Mapping[str, BoxFormat] = {
    "coco": BoxFormat(coco_boxes.fits, coco_boxes.read, coco_boxes.LAYOUT),
    "voc": BoxFormat(voc_boxes.fits, voc_boxes.read, voc_boxes.LAYOUT),
    "yolo": BoxFormat(yolo.fits, yolo.read, yolo.LAYOUT),
    "labelme": BoxFormat(labelme.fits, labelme.read, labelme.LAYOUT, is_sure=False),
    "via": BoxFormat(via.fits, via.read, via.LAYOUT, is_sure=False),
    "cvat": BoxFormat(cvat.fits, cvat.read, cvat.LAYOUT, is_sure=False),
    "label-studio": BoxFormat(label_studio.fits, label_studio.read, label_studio.LAYOUT, is_sure=False),
    "createml": BoxFormat(createml.fits, createml.read, createml.LAYOUT, is_sure=False),
    "csv": BoxFormat(csv_boxes.fits, csv_boxes.read, csv_boxes.LAYOUT, is_sure=False),
}
LAYOUTS = "; ".join(f"{known.layout} ({name})" for name, known in FORMATS.items())


def recognizes(root: Path) -> bool:
    """Whether `root` looks like one of the formats, right or with a mistake that `read` would explain."""
    listing = Listing(root)
    try:
        return any(known.fits(listing) for known in FORMATS.values())
    except (DataError, OSError):
        return False


readable = recognizes  # where boxes are asked for


def read(root: Path, options: ReadOptions) -> Dataset:
    """The dataset at `root` with Boxes as targets; what was mended is in its notes.

    Without val images, test stands in for them; without either, `options.val_fraction` of the images become val.
    A dataset of held-out images alone can be evaluated, and its notes say that it cannot be trained on. DataError
    where nothing, or something contradictory, is found.
    """
    root = folders.require_folder(root)
    listing = Listing(root)
    stated = _stated(listing, options.data_format)
    for split, annotations in stated.splits.items():
        _refuse_twice(root, split, annotations)
    found = {split: box_repair.meet(annotations, stated.notes) for split, annotations in stated.splits.items()}
    for split, samples in found.items():
        if not samples:
            raise DataError(f"{root} has no images in the {split} split{_first_missing(listing, stated.splits[split])}")
    splits, notes = _splits(root, found, options)
    return Dataset(
        root, TASK, labels(stated.classes), splits, (*stated.notes.findings(root), *notes), tuple(stated.files)
    )


def _stated(listing: Listing, name: str | None) -> Statements:
    """By the format of that name; what is not there is an error that says what lies in its place."""
    known = FORMATS[format_of(listing, name)]
    if name is None or known.fits(listing):
        return known.read(listing)
    try:
        if known.is_sure:
            return known.read(listing)  # which knows best what is missing
        raise DataError(f"{listing.root} has no annotations in the format {name}: expected {known.layout}")
    except DataError as error:
        others = [other for other, its in FORMATS.items() if other != name and its.fits(listing)]
        said = f"annotations in the format {listed(others)}" if others else companions.lying(listing)
        raise DataError(f"{error}. It has {said}" if said else str(error)) from None


def format_of(listing: Listing, name: str | None) -> str:
    """The format by its name, or the one that fits; DataError where none does, or several."""
    if name is not None:
        if name not in FORMATS:
            raise unknown("`data_format`", name, FORMATS)
        return name
    sure, others = (
        [name for name, known in FORMATS.items() if known.is_sure == is_sure and known.fits(listing)]
        for is_sure in (True, False)
    )
    fitting = sure or others
    if not fitting:
        raise DataError(f"{listing.root} has no boxes in a known format. Known formats: {LAYOUTS}")
    if len(fitting) > 1:
        choice = " or ".join(f"`data_format={name}`" for name in fitting)
        raise DataError(f"{listing.root} matches several formats: choose one with {choice}")
    return fitting[0]


def _refuse_twice(root: Path, split: str, annotations: Sequence[Annotation]) -> None:
    for path, times in Counter(annotation.image for annotation in annotations).most_common(1):
        if times > 1:
            raise DataError(f"{path} is listed {times} times in the {split} split of {root}: list it once")


def _first_missing(listing: Listing, annotations: Sequence[Annotation]) -> str:
    """Where images were looked for, and what lies there in their place."""
    if not annotations:
        return ": add some, or remove the entry of that split"
    named = {os.fspath(annotation.image) for annotation in annotations}
    others = [path for path in listing.images if path not in named]
    instead = f"; {counted(len(others), 'image')} of other names are below it, {others[0]} first" if others else ""
    return f": none of {counted(len(annotations), 'image')} exists, starting with {annotations[0].image}{instead}"


Splits = dict[str, tuple[Sample, ...]]


def _splits(root: Path, found: Mapping[str, tuple[Sample, ...]], options: ReadOptions) -> tuple[Splits, list[Finding]]:
    """ "train", "val" and perhaps "test", with a word on where they come from."""
    if "train" not in found:
        joint = next((found[name] for name in (TRAINVAL, WHOLE) if name in found), None)
        return _held_out(found) if joint is None else _apart(root, joint, found, options)
    if "val" in found:
        return {split: found[split] for split in SPLIT_NAMES if split in found}, []
    if "test" not in found:
        return _apart(root, found["train"], found, options)
    message = "no val split: validating on test, whose score is then too optimistic, since it selects the best epoch"
    return {"train": found["train"], "val": found["test"]}, [Finding("info", "split", message)]


def _apart(
    root: Path, samples: Sequence[Sample], found: Mapping[str, tuple[Sample, ...]], options: ReadOptions
) -> tuple[Splits, list[Finding]]:
    """Training and val images out of `samples`, and test as it was found."""
    by_path = {sample.path: sample for sample in samples}
    parts = split_by_seed({"": list(by_path)}, root, fraction=options.val_fraction, seed=options.split_seed)
    train, val = (tuple(by_path[path] for path in part[""]) for part in parts)
    if not val:
        raise DataError(f"{root} has only one image, so none is left for validation: add images")
    message = f"no val split: validating on {counted(len(val), 'image')}, held out by name and seed"
    tests = {"test": found["test"]} if "test" in found else {}
    return {"train": train, "val": val, **tests}, [Finding("info", "split", message)]


def _held_out(found: Mapping[str, tuple[Sample, ...]]) -> tuple[Splits, list[Finding]]:
    """Without training images: for evaluation alone."""
    splits = {"train": (), "val": found.get("val", found.get("test", ()))}
    if "val" in found and "test" in found:
        splits["test"] = found["test"]
    return splits, [Finding("error", "no-train", "no training images: the dataset can only be used for evaluation")]
