"""Reads Pascal VOC's XML, one file a picture: `Annotations/` beside `JPEGImages/`, or files beside their pictures.

Coordinates are those of VOC's own tools: pixels are counted from 1 and both ends belong to the box, so that a box from
1 to 640 covers all of 640 pixels. Here it goes from 0 to 640. One whose ends are the same number is a click without a
drag, and no box of one pixel.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mobilevit.data import folders
from mobilevit.data.splitting import SPLIT_NAMES, split_named
from mobilevit.errors import DataError
from mobilevit.tasks.detection import class_names
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
    quoted,
    read_bytes,
    read_text,
)
from mobilevit.tasks.detection.notes import Notes

LAYOUT = "Annotations/*.xml beside JPEGImages/, or train/*.xml beside pictures"
CLASSES = "classes.txt"  # the names in their order, one a line; without it they are those that occur, sorted
PICTURE_FOLDERS = ("jpegimages", "images")
MAX_XML_BYTES = 2**26
HEAD_BYTES = 4096  # of a file, within which VOC's outermost element begins
FIRST = 5  # XML files of a folder that decide whether it is VOC's


def fits(root: Path) -> bool:
    """Whether there is VOC's XML where it is looked for."""
    return any(_looks_like_voc(path) for place in _places(root).values() for path in islice(_xml_files(place), FIRST))


def read(root: Path) -> Statements:
    """What the files at `root` state; the classes in the order of `classes.txt`, or else by name."""
    notes, lists = Notes(), _image_sets(root)
    if lists:
        place = _Place(root)
        stated = {split: place.stated(notes, _listed(path)) for split, path in lists.items()}
        place.note_unlisted([one.picture for some in stated.values() for one in some], notes)
    else:
        stated = {split: _Place(folder).stated(notes) for split, folder in _places(root).items()}
    if not any(one.objects for some in stated.values() for one in some):
        raise DataError(f"{root} has no VOC annotations with objects: expected {LAYOUT}")
    table = root / CLASSES
    tables = [table] if table.is_file() else []
    occurring = {thing.name for some in stated.values() for one in some for thing in one.objects}
    names = class_names.from_file(table, occurring) if tables else sorted(occurring)
    index = {name: place for place, name in enumerate(checked_names(names, table))}
    splits = {split: [one.annotation(index, notes) for one in some] for split, some in stated.items()}
    files = {one.where: None for some in stated.values() for one in some if one.where != one.picture}
    return Statements(tuple(names), splits, notes, (*files, *lists.values(), *tables))


def _places(root: Path) -> dict[str, Path]:
    """The folder of each split that has XML in it, or `root` itself."""
    inside = folders.sub_folders(root)
    if not any(folder.name.casefold() == "annotations" for folder in inside):
        splits = {split: folder for folder in inside if (split := split_named(folder.name)) and any(_xml_files(folder))}
        if splits:
            return splits
    return {WHOLE: root}


def _xml_files(place: Path) -> Iterator[Path]:
    """In the folder `Annotations` of a place, however deep; else directly in it."""
    inner = [folder for folder in folders.sub_folders(place) if folder.name.casefold() == "annotations"]
    files = folders.files_below(inner[0]) if inner else iter(folders.files_in(place))
    return (path for path in files if path.suffix.lower() == ".xml")


def _looks_like_voc(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b"<annotation" in file.read(HEAD_BYTES)


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
    """The lines of a list of pictures, each once and as it stands, since names of files may begin or end with spaces;
    DataError where there is none."""
    stripped = (line.removesuffix("\r") for line in read_text(path).split("\n"))
    lines = list(dict.fromkeys(line for line in stripped if line.strip()))
    if not lines:
        raise DataError(f"{path} is empty: write the name of a picture on each line, or remove the file")
    return lines


@dataclass(frozen=True)
class _Object:
    name: str
    corners: Corners
    difficult: bool


@dataclass(frozen=True)
class _Stated:
    """One XML file, or a picture that has none."""

    picture: Path
    where: Path
    size: Size | None = None
    objects: Sequence[_Object] = ()

    def annotation(self, index: Mapping[str, int], notes: Notes) -> Annotation:
        numbered = list(enumerate(self.objects, start=1))
        known = [thing for thing in self.objects if thing.name in index]
        strange = [f"object {number} ('{quoted(thing.name)}')" for number, thing in numbered if thing.name not in index]
        notes.add("unknown-class", self.where, len(strange), strange)
        return Annotation(
            self.picture,
            self.where,
            [thing.corners for thing in known],
            [index[thing.name] for thing in known],
            [thing.difficult for thing in known],
            self.size,
            record="object",
            numbers=[number for number, thing in numbered if thing.name in index],
        )


class _Place:
    """Annotations and pictures of a folder; their paths without the suffix join them: "BloodImage_00001"."""

    def __init__(self, folder: Path) -> None:
        inside = {inner.name.casefold(): inner for inner in folders.sub_folders(folder)}
        self.folder = next((inside[name] for name in PICTURE_FOLDERS if name in inside), folder)
        base = inside.get("annotations", folder)
        self.annotations = {_stem(base, path): path for path in _xml_files(folder)}
        self.pictures: dict[str, list[Path]] = {}
        for path in folders.pictures_below(self.folder):
            self.pictures.setdefault(_stem(self.folder, path), []).append(path)

    def stated(self, notes: Notes, lines: Sequence[str] | None = None) -> list[_Stated]:
        """Of everything, or of what the lines of a list name."""
        chosen = sorted({*self.annotations, *self.pictures}) if lines is None else list(map(self._named, lines))
        annotated = [found for name in chosen if name in self.annotations for found in self._read(name, notes)]
        taken = {one.picture for one in annotated}
        bare = [name for name in chosen if name not in self.annotations]
        for name in bare:
            if name not in self.pictures:
                notes.add("missing-picture", self.folder / name)
        alone = [picture for name in bare for picture in self.pictures.get(name, ()) if picture not in taken]
        for picture in alone:
            notes.add("no-annotation", picture)
        return sorted([*annotated, *(_Stated(path, path) for path in alone)], key=lambda one: one.picture)

    def note_unlisted(self, listed: Iterable[Path], notes: Notes) -> None:
        """Pictures beside those that the lists name."""
        names = {_stem(self.folder, picture) for picture in listed}
        for picture in (path for name, paths in self.pictures.items() if name not in names for path in paths):
            notes.add("not-listed", picture)

    def _named(self, line: str) -> str:
        """The name that a line means: some lists have suffixes, and those of one class a number behind the name."""
        bare = line.strip()
        spellings = (line, bare, os.path.splitext(bare)[0], bare.split()[0])  # noqa: PTH122
        return next((name for name in spellings if name in self.annotations or name in self.pictures), bare)

    def _read(self, name: str, notes: Notes) -> Iterator[_Stated]:
        """The annotation with its picture: that of its own name, or else the one that it names."""
        path = self.annotations[name]
        tree = _parsed(path)
        stated = (tree.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
        pictures = self.pictures.get(name) or self.pictures.get(os.path.splitext(stated)[0], [])  # noqa: PTH122
        if not pictures:
            notes.add("missing-picture", path)
            return
        picture = next((picture for picture in pictures if picture.name == stated), pictures[0])
        objects = [_object(path, number, element) for number, element in enumerate(tree.findall("object"), start=1)]
        yield _Stated(picture, path, _size(path, tree), objects)


def _stem(base: Path, path: Path) -> str:
    inside = os.fspath(path).removeprefix(os.path.join(base, ""))  # noqa: PTH118 (relative_to takes ten times as long)
    return os.path.splitext(inside)[0].replace(os.sep, "/")  # noqa: PTH122


def _parsed(path: Path) -> Element:
    """The outermost element; DataError where the file is no XML, or defines entities, which can be bombs."""
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype(path))
        parser.feed(read_bytes(path, MAX_XML_BYTES))
        tree: Element = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: unknown encodings
        raise DataError(f"{path} is no whole XML file ({quoted(error, 100)}): copy or export it again") from error
    if tree.tag != "annotation":
        raise DataError(f"{path} is no VOC annotation: its outermost element is <{quoted(tree.tag)}>")
    return tree


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds a tree, and stops where a document type begins, before any entity is defined or expanded."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def doctype(self, name: str, public: str | None, system: str | None) -> None:  # noqa: ARG002 (the parser's names)
        raise DataError(
            f"{self.path} is refused, because it defines a document type; VOC has none: remove <!DOCTYPE ...>"
        )


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
    if not (0 <= width <= MAX_SIZE_PX and 0 <= height <= MAX_SIZE_PX):
        raise DataError(f"{path}: the size is {width:g} x {height:g}: pixels are expected")
    return (round(width), round(height)) if width >= 1 and height >= 1 else None
