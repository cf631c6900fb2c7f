"""Common part of the readers whose files name a class with every box."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobilevit.datasets import class_names
from mobilevit.datasets.annotation_records import Annotation, Corners, Size, Statements, checked_names, class_name
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError
from mobilevit.images import folders

NAMES = "classes.txt"  # the names in their order, one a line; without it they are those that occur, sorted
ONLY_CLASS = "object"  # of boxes without a class, where none has one


@dataclass(frozen=True, slots=True)
class StatedBox:
    """A box in pixels, or in normalized coordinates."""

    name: str  # of its class; empty where none is stated
    corners: Corners
    number: object = None  # what a message calls it, after the word for a record
    ignore: bool = False


@dataclass(slots=True)
class StatedImage:
    """An image and its boxes; `where` is what a message names: the annotation file, or the image."""

    path: Path
    where: Path
    boxes: list[StatedBox] = field(default_factory=list)
    size: Size | None = None


def split_statements(
    images: ImagePaths, stated: Mapping[Path, StatedImage], files: Iterable[Path], *, record: str
) -> Statements:
    """As `statements`, of files that name no splits: those of the folders where the images lie."""
    images.refuse_outside()
    splits = images.listing.of_splits(stated, images.notes)
    by_split = {split: [stated[one] for one in paths] for split, paths in splits.items()}
    return statements(images.listing, images.notes, by_split, files, record=record)


def statements(
    listing: Listing,
    notes: Repairs,
    splits: Mapping[str, Sequence[StatedImage]],
    files: Iterable[Path],
    *,
    record: str,
    in_shares: bool = False,
) -> Statements:
    """The dataset, its classes those of `classes.txt` in their order, or else those that occur, sorted.

    `record` is what a message calls a box. DataError where no box is stated at all.
    """
    _note_unlisted({image.path for images in splits.values() for image in images}, notes)
    boxes = [box for images in splits.values() for image in images for box in image.boxes]
    if not boxes:
        raise DataError(f"{listing.root} has annotation files, but no boxes in them: annotate the images first")
    occurring = {class_name(box.name) for box in boxes} - {""}
    table = folders.file_named(listing.root, NAMES) or listing.root / NAMES
    tables = [table] if table.is_file() else []
    found = class_names.from_file(table, occurring) if tables else sorted(occurring) or [ONLY_CLASS]
    names = checked_names(found, table)
    index = {name: place for place, name in enumerate(names)}
    joined = _Joined(index, "" if occurring else names[0] if len(names) == 1 else "", notes, record, in_shares)
    stated = {split: [joined.annotation(image) for image in images] for split, images in splits.items()}
    return Statements(names, stated, notes, (*files, *tables))


def _note_unlisted(listed: Collection[Path], notes: Repairs) -> None:
    """What lies beside the images that the files name, and is not named."""
    places = (folder for folder in dict.fromkeys(path.parent for path in listed) if folder.is_dir())
    for path in (path for folder in places for path in folders.files_in(folder) if folders.is_image(path)):
        if path not in listed:
            notes.add("not-listed", path)


@dataclass(frozen=True)
class _Joined:
    """From names to class numbers."""

    index: Mapping[str, int]
    only: str  # the class of boxes without one; empty where they are left out
    notes: Repairs
    record: str
    in_shares: bool

    def annotation(self, image: StatedImage) -> Annotation:
        known = [(box, self.index[name]) for box in image.boxes if (name := self._name(image, box)) in self.index]
        return Annotation(
            image.path,
            image.where,
            [box.corners for box, _ in known],
            [label for _, label in known],
            [box.ignore for box, _ in known],
            image.size,
            in_shares=self.in_shares,
            record=self.record,
            numbers=[box.number for box, _ in known],
        )

    def _name(self, image: StatedImage, box: StatedBox) -> str:
        """The class of a box; noted where it has none that is known."""
        name = class_name(box.name)
        place = f"{self.record} {quoted(box.number)}"
        if not name:
            self.notes.add("only-class" if self.only else "nameless", image.where, places=[place])
        elif name not in self.index:
            self.notes.add("unknown-class", image.where, places=[f"{place} ('{quoted(name)}')"])
        return name or self.only
