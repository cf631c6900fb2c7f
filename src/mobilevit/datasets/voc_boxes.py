"""Reads Pascal VOC's XML, one file an image: `Annotations/` beside `JPEGImages/`, or files beside their images.

Coordinates are those of VOC's own tools: pixels are counted from 1 and both ends belong to the box, so that a box from
1 to 640 covers all of 640 pixels. Here it goes from 0 to 640. One whose ends are the same number is a click without a
drag, and no box of one pixel.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from mobilevit.datasets import class_names
from mobilevit.datasets.annotation_records import (
    MAX_IMAGE_SIZE,
    TRAINVAL,
    WHOLE,
    Annotation,
    Corners,
    Size,
    Statements,
    checked_names,
    class_name,
)
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import SPLIT_NAMES, split_named
from mobilevit.datasets.text_files import head, quoted, read_text, read_xml
from mobilevit.errors import DataError
from mobilevit.images import folders

LAYOUT = "Annotations/*.xml beside JPEGImages/, or train/*.xml beside images"
CLASSES = "classes.txt"  # the names in their order, one a line; without it they are those that occur, sorted
IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
XML_FOLDERS = ("annotations", "annotation", "annots", "annot", "xmls", "xml", "labels")
HEAD_BYTES = 4096  # of a file, within which VOC's outermost element begins
OUTERMOST = re.compile(rb"<annotation[\s/>]")  # CVAT's own begins with <annotations>
FIRST = 5  # XML files of a folder that decide whether it is VOC's


def fits(listing: Listing) -> bool:
    """Whether there is VOC's XML."""
    return any(_looks_like_voc(path) for folder in _places(listing).values() for path in folder.files[:FIRST])


def read(listing: Listing) -> Statements:
    """What the files of the listing state; the classes in the order of `classes.txt`, or else by name."""
    notes, root = Repairs(), listing.root
    images, lists, places = ImagePaths(listing, notes), _image_sets(root), _places(listing)
    if not lists:
        _refuse_lists_inside(listing)
    if lists:
        place = _Place(_XmlFolder.of(listing, root), images)
        stated = {split: place.stated(_listed(path)) for split, path in lists.items()}
        place.note_unlisted([one.image for some in stated.values() for one in some])
    elif WHOLE in places:
        whole = {one.image: one for one in _Place(places[WHOLE], images).stated()}
        stated = {split: [whole[path] for path in some] for split, some in listing.of_splits(whole, notes).items()}
    else:
        stated = {split: _Place(folder, images, split).stated() for split, folder in places.items()}
    if not any(one.objects for some in stated.values() for one in some):
        raise DataError(f"{root} has no VOC annotations with objects: expected {LAYOUT}")
    table = folders.file_named(root, CLASSES) or root / CLASSES
    tables = [table] if table.is_file() else []
    occurring = {thing.name for some in stated.values() for one in some for thing in one.objects}
    names = class_names.from_file(table, occurring) if tables else sorted(occurring)
    index = {name: place for place, name in enumerate(checked_names(names, table))}
    splits = {split: [one.annotation(index, notes) for one in some] for split, some in stated.items()}
    files = {one.where: None for some in stated.values() for one in some if one.where != one.image}
    return Statements(tuple(names), splits, notes, (*files, *lists.values(), *tables))


@dataclass(frozen=True)
class _XmlFolder:
    """XML files of the dataset or of one of its splits: those in its folder of annotations, or else all of them."""

    place: Path  # of the split
    base: Path  # what the names of the files are relative to
    files: Sequence[Path]

    @classmethod
    def of(cls, listing: Listing, place: Path) -> "_XmlFolder":
        files = listing.below(place, ".xml")
        inside = {folder.name.casefold(): folder for folder in folders.sub_folders(place)} if files else {}
        for base in (inside[name] for name in XML_FOLDERS if name in inside):
            if inner := listing.below(base, ".xml"):
                return cls(place, base, inner)
        return cls(place, place, files)


def _places(listing: Listing) -> dict[str, _XmlFolder]:
    """The folder of each split that has XML in it, or the root itself."""
    whole = _XmlFolder.of(listing, listing.root)
    if whole.base == whole.place and whole.files:
        named = {split: path for path in folders.sub_folders(listing.root) if (split := split_named(path.name))}
        found = {split: _XmlFolder.of(listing, path) for split, path in named.items()}
        if any(folder.files for folder in found.values()):
            return {split: folder for split, folder in found.items() if folder.files}
    return {WHOLE: whole}


def _looks_like_voc(path: Path) -> bool:
    return OUTERMOST.search(head(path, HEAD_BYTES)) is not None


def _refuse_lists_inside(listing: Listing) -> None:
    """DataError where a folder inside is the dataset, as in VOCdevkit: its lists of splits would be passed over."""
    for path in listing.below(listing.root, ".txt"):
        whole = path.parent.parent.parent
        is_list = path.parts[-3:-1] == ("ImageSets", "Main") and whole != listing.root
        if is_list and (whole / "Annotations").is_dir():
            raise DataError(f"{listing.root} is not a dataset, but contains one with its own split lists: give {whole}")


def _image_sets(root: Path) -> dict[str, Path]:
    """The lists of the splits; that of train and val together only where one of the two is not there."""
    inside = {folder.name.casefold(): folder for folder in folders.sub_folders(root)}
    if "imagesets" not in inside:
        return {}
    main = inside["imagesets"] / "Main"
    files = folders.files_in(main if main.is_dir() else inside["imagesets"])
    lists = {path.stem.casefold(): path for path in files if path.suffix.lower() == ".txt"}
    found = {split: lists[name] for split, names in SPLIT_NAMES.items() for name in names if name in lists}
    if TRAINVAL in lists and not {"train", "val"} <= found.keys():
        return {TRAINVAL: lists[TRAINVAL], **{split: path for split, path in found.items() if split == "test"}}
    return found


def _listed(path: Path) -> list[str]:
    """The lines of a list of images, each once and as it stands, since names of files may begin or end with spaces;
    DataError where there is none."""
    stripped = (line.removesuffix("\r") for line in read_text(path).split("\n"))
    lines = list(dict.fromkeys(line for line in stripped if line.strip()))
    if not lines:
        raise DataError(f"{path} is empty: write one image name per line, or remove the file")
    return lines


@dataclass(frozen=True)
class _Object:
    name: str
    corners: Corners
    difficult: bool


@dataclass(frozen=True)
class _Stated:
    """One XML file, or an image that has none."""

    image: Path
    where: Path
    size: Size | None = None
    objects: Sequence[_Object] = ()

    def annotation(self, index: Mapping[str, int], notes: Repairs) -> Annotation:
        numbered = list(enumerate(self.objects, start=1))
        known = [thing for thing in self.objects if thing.name in index]
        strange = [f"object {number} ('{quoted(thing.name)}')" for number, thing in numbered if thing.name not in index]
        notes.add("unknown-class", self.where, len(strange), strange)
        return Annotation(
            self.image,
            self.where,
            [thing.corners for thing in known],
            [index[thing.name] for thing in known],
            [thing.difficult for thing in known],
            self.size,
            record="object",
            numbers=[number for number, thing in numbered if thing.name in index],
        )


class _Place:
    """Annotations and images of a folder; their paths without the suffix join them: "BloodImage_00001"."""

    def __init__(self, folder: _XmlFolder, images: ImagePaths, split: str | None = None) -> None:
        inside = {inner.name.casefold(): inner for inner in folders.sub_folders(folder.place)}
        self.images, self.notes, self.split = images, images.notes, split
        self.folder = next((inside[name] for name in IMAGE_FOLDERS if name in inside), folder.place)
        self.annotations = {_stem(folder.base, path): path for path in folder.files}
        self.by_name: dict[str, list[Path]] = {}
        for path in folders.images_below(self.folder):
            self.by_name.setdefault(_stem(self.folder, path), []).append(path)

    def stated(self, lines: Sequence[str] | None = None) -> list[_Stated]:
        """Of everything, or of what the lines of a list name."""
        chosen = sorted({*self.annotations, *self.by_name}) if lines is None else list(map(self._named, lines))
        annotated = [found for name in chosen if name in self.annotations for found in self._read(name)]
        taken = {one.image for one in annotated}
        bare = [name for name in chosen if name not in self.annotations]
        for name in bare:
            if name not in self.by_name:
                self.notes.add("missing-image", self.folder / name)
        alone = [image for name in bare for image in self.by_name.get(name, ()) if image not in taken]
        for image in alone:
            self.notes.add("no-annotation", image)
        return sorted([*annotated, *(_Stated(path, path) for path in alone)], key=lambda one: one.image)

    def note_unlisted(self, listed: Iterable[Path]) -> None:
        """Images beside those that the lists name."""
        names = {_stem(self.folder, image) for image in listed}
        for image in (path for name, paths in self.by_name.items() if name not in names for path in paths):
            self.notes.add("not-listed", image)

    def _named(self, line: str) -> str:
        """The name that a line means: some lists have suffixes, and those of one class a number behind the name."""
        bare = line.strip()
        spellings = (line, bare, os.path.splitext(bare)[0], bare.split()[0])  # noqa: PTH122
        return next((name for name in spellings if name in self.annotations or name in self.by_name), bare)

    def _read(self, name: str) -> Iterator[_Stated]:
        """The annotation with its image: that of its own name, or else the one that it names."""
        path = self.annotations[name]
        tree = read_xml(path)
        if tree.tag != "annotation":
            cvat = ", as in CVAT's own format: export COCO, Pascal VOC or YOLO" if tree.tag == "annotations" else ""
            raise DataError(f"{path} is not a VOC annotation: its root element is <{quoted(tree.tag)}>{cvat}")
        image = self._image(name, path, (tree.findtext("filename") or "").strip())
        if image is None:
            self.notes.add("missing-image", path)
            return
        objects = [_object(path, number, element) for number, element in enumerate(tree.findall("object"), start=1)]
        yield _Stated(image, path, _size(path, tree), objects)

    def _image(self, name: str, path: Path, stated: str) -> Path | None:
        last = stated.replace("\\", "/").rpartition("/")[2]
        images = self.by_name.get(name) or self.by_name.get(os.path.splitext(last)[0])  # noqa: PTH122
        if images:
            return next((image for image in images if image.name == last), images[0])
        for spelling in (stated, os.path.basename(name)):  # noqa: PTH119
            found = self.images.find(spelling, self.folder, str(path), self.split) if spelling else None
            if found is not None and found.is_file():
                return found
        return None


def _stem(base: Path, path: Path) -> str:
    inside = os.fspath(path).removeprefix(os.path.join(base, ""))  # noqa: PTH118 (relative_to takes ten times as long)
    return os.path.splitext(inside)[0].replace(os.sep, "/")  # noqa: PTH122


def _object(path: Path, number: int, element: Element) -> _Object:
    where = f"{path}: object {number}"
    name, box = class_name(element.findtext("name") or ""), element.find("bndbox")
    if not name:
        raise DataError(f"{where} has no name")
    if box is None:
        raise DataError(f"{where}, '{quoted(name)}', has no bndbox: export it as boxes")
    left, top, right, bottom = (_number(where, box, side) for side in ("xmin", "ymin", "xmax", "ymax"))
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise DataError(f"{where} has difficult '{quoted(difficult)}': 0 or 1 is expected")
    corners = _from_first(left, right), _from_first(top, bottom), right, bottom
    return _Object(name, corners, difficult == "1")


def _from_first(start: float, end: float) -> float:
    """Where pixel `start`, counted from 1, begins; as it is where the box has no extent."""
    return start - 1 if end > start else start


def _number(where: str, box: Element, side: str) -> float:
    text = box.findtext(side)
    if text is None:
        raise DataError(f"{where} has no {side}: a number is expected")
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where} has {side} '{quoted(text)}': a number is expected") from None


def _size(path: Path, tree: Element) -> Size | None:
    """As stated; None where it is not, or where it is nought, as some tools write."""
    size = tree.find("size")
    if size is None or not (size.findtext("width") or "").strip() or not (size.findtext("height") or "").strip():
        return None
    width, height = (_number(f"{path}: size", size, side) for side in ("width", "height"))
    if not (0 <= width <= MAX_IMAGE_SIZE and 0 <= height <= MAX_IMAGE_SIZE):
        raise DataError(f"{path}: the size is {width:g} x {height:g}: pixels are expected")
    return (round(width), round(height)) if width >= 1 and height >= 1 else None
