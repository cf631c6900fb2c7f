"""Reads COCO's JSON as masks: polygons, and runs as lists or packed, painted over a background.

The files, their splits and the paths of images are found as for boxes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets import coco_boxes
from mobilevit.datasets.annotation_records import checked_names, written
from mobilevit.datasets.coco_document import Document, Record, place_of
from mobilevit.datasets.finding import Finding
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.mask_target import IGNORED, MAX_CLASSES, Coding
from mobilevit.datasets.outlines import as_float, is_number, unpacked
from mobilevit.datasets.painted_masks import Outlined, PaintedMask, Size
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import SPLIT_NAMES
from mobilevit.datasets.stated_masks import Parts, Stated
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError
from mobilevit.spec import labels

BACKGROUNDS = ("background", "_background_")
LEAST_CORNERS = 3  # of a polygon


def fits(root: Path) -> bool:
    return coco_boxes.fits(Listing(root))


def read(root: Path) -> Stated:
    """Every class is a category, and what no outline covers is the background: the category of that name, or a class
    of its own, the first. Where the stated areas cover every image whole there is none."""
    files = coco_boxes.files_of(root)
    documents = [Document.read(path, split, outlines=True) for split, path in files]
    notes = Repairs()
    images = ImagePaths(Listing(root), notes)
    ids = coco_boxes.class_ids_of(documents)
    names = [coco_boxes.names_of(documents)[identity] for identity in ids]
    background = next((index for index, name in enumerate(names) if name.casefold() in BACKGROUNDS), None)
    unlabeled, first = (IGNORED, 0) if background is None and _are_covered(documents) else (background or 0, 0)
    if background is None and unlabeled != IGNORED:
        names, first = [BACKGROUNDS[0], *names], 1
    checked_names(names, documents[0].path)
    if len(names) > MAX_CLASSES:
        raise DataError(f"{documents[0].path} has {len(names)} classes: masks can store at most {MAX_CLASSES}")
    values, coding = {identity: place + first for place, identity in enumerate(ids)}, Coding(tuple(range(len(names))))
    parts: dict[str, Mapping[Path, PaintedMask]] = {}
    for document in documents:
        painter = _Painter(document, images, values, coding, unlabeled)
        parts[document.split] = painter.masks()
    if not any(mask.objects for part in parts.values() for mask in part.values()):
        raise DataError(
            f"{documents[0].path} has no outlines (segmentation), only boxes, from which masks cannot be made: "
            "use it for detection"
        )
    notes_found: tuple[Finding, ...] = notes.findings(root)
    return Stated(labels(names), _by_split(parts), notes_found, tuple(path for _, path in files))


def _by_split(parts: Mapping[str, Mapping[Path, PaintedMask]]) -> Parts:
    """Under None what is still to be split: one file for all, or trainval where train has none."""
    named: dict[str | None, Mapping[Path, PaintedMask]] = {
        split: part for split, part in parts.items() if split in SPLIT_NAMES
    }
    joint = [part for split, part in parts.items() if split not in SPLIT_NAMES]
    return named if "train" in named or not joint else {**named, None: joint[0]}


def _are_covered(documents: Sequence[Document]) -> bool:
    """Whether the areas of the annotations add up to no less than the whole of every image."""
    for document in documents:
        areas = dict.fromkeys(document.images, 0.0)
        for record in document.boxes:
            if record["image_id"] in areas and is_number(area := record.get("area", 0)):
                areas[record["image_id"]] += as_float(area)
        for key, image in document.images.items():
            size = document.size_of(image)
            if size is None or areas[key] < size[0] * size[1]:
                return False
    return True


class _Painter:
    """Masks of the images that a file lists."""

    def __init__(
        self, document: Document, images: ImagePaths, values: Mapping[int, int], coding: Coding, unlabeled: int
    ) -> None:
        self.document, self.images, self.values = document, images, values
        self.coding, self.unlabeled = coding, unlabeled

    def masks(self) -> dict[Path, PaintedMask]:
        """By image; those that are not there are noted, and left out."""
        document, notes = self.document, self.images.notes
        paths = document.paths(self.images)
        sizes = {key: document.size_of(image) for key, image in document.images.items()}
        objects: dict[int | str, list[Outlined]] = {key: [] for key in paths}
        for record in document.known(list(self.values), paths, notes):
            key = record["image_id"]
            found = self._outlined(record, sizes[key])
            if found is not None:
                objects[key].append(found)
        masks = {}
        for key, path in paths.items():
            if path.is_file():
                masks[path] = PaintedMask(
                    document.path, path, self.coding, tuple(objects[key]), sizes[key], self.unlabeled
                )
            else:
                notes.add("missing-image", path)
        if not masks:
            raise DataError(f"{document.path}: none of its images exists, starting with {next(iter(paths.values()))}")
        return masks

    def _outlined(self, record: Record, size: Size | None) -> Outlined | None:
        """None, and a note, where there is no outline or none that encloses anything."""
        outline, where = record.get("segmentation"), f"{self.document.path}: {place_of(record)}"
        value = IGNORED if self.document.is_crowd(record) else self.values[record["category_id"]]
        if not outline:
            self.images.notes.add("no-outline", self.document.path, places=[place_of(record)])
            return None
        if isinstance(outline, Mapping):
            return Outlined(value, runs=_runs(outline, size, where))
        polygons = _polygons(outline, where)
        kept = [points for points in polygons if len(points) >= LEAST_CORNERS and np.ptp(points, axis=0).all()]
        self.images.notes.add("flat-outline", self.document.path, len(polygons) - len(kept), [place_of(record)])
        return Outlined(value, kept) if kept else None


def _polygons(outline: object, where: str) -> list[NDArray[np.float32]]:
    """Of [[x, y, x, y, ...], ...], or of one such list."""
    parts = outline if isinstance(outline, list) else [outline]
    parts = parts if all(isinstance(part, list) for part in parts) else [parts]
    for part in parts:
        if not isinstance(part, list) or len(part) % 2 or not all(map(is_number, part)):
            raise DataError(f"{where} has the outline {written(part)}: numbers are expected, x and y in turn")
        if not all(abs(as_float(value)) <= FARTHEST for value in part):  # so written that NaN fails
            raise DataError(f"{where} has the outline {written(part)}: pixels of the image are expected")
    return [np.array(part, np.float32).reshape(-1, 2) for part in parts]


FARTHEST = 1e6  # pixels


def _runs(mask: Mapping[str, object], size: Size | None, where: str) -> NDArray[np.int64]:
    """Of {"size": [h, w], "counts": [...] or text}; DataError where they do not fill the image."""
    stated, counts = mask.get("size"), mask.get("counts")
    runs = unpacked(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise DataError(f"{where} has the counts {quoted(counts)}: lengths of runs are expected, or their packed text")
    if size is not None and stated != [size[1], size[0]]:
        raise DataError(
            f"{where} has a mask of the size {written(stated)}: that of its image is [{size[1]}, {size[0]}]"
        )
    if size is None:
        raise DataError(f"{where} has a mask, but its image has no width and height: add them")
    if sum(runs) != size[0] * size[1]:
        raise DataError(f"{where}: its runs add up to {sum(runs):,} pixels, the image has {size[0] * size[1]:,}")
    return np.array(runs, np.int64)
