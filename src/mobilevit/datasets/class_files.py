"""Files with the classes of masks and their values or colors: `classes.txt`, and those of labeling tools.

A kind of file is a row of FILES. Knows nothing of masks themselves.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets import classes_txt
from mobilevit.datasets.classes_txt import IGNORED, PART, Color, NamedClasses, color_of, colors_of_all, lines_of
from mobilevit.datasets.finding import counted, listed
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.text_files import head
from mobilevit.errors import DataError
from mobilevit.images import folders
from mobilevit.text import words_of

OWN = "classes.txt"
OTHER = re.compile(
    r"(class|label|categor|names).*\.(txt|csv|tsv|json|ya?ml|names|pbtxt|xml)\Z|\.names\Z|\Adata\.ya?ml\Z"
)
MAX_CLASSES = 255  # that a mask can tell apart


def find(root: Path) -> Path | None:
    """The file that names the classes of the dataset at `root`, or of the one that `root` is a split of."""
    beside = [root.resolve().parent] if split_named(root.resolve().name) else []
    below = [folder for folder in folders.sub_folders(root) if split_named(folder.name)]
    places = (folders.file_named(folder, name) for folder in (root, *beside, *below) for name in FILES)
    return next((path for path in places if path and FILES[path.name.casefold()].fits(path)), None)


def unread(root: Path) -> Path | None:
    """A file that names classes by its own name, of a kind that is not read here."""
    return next((path for path in folders.files_in(root) if OTHER.search(path.name.casefold())), None)


def read(path: Path) -> NamedClasses:
    """DataError with the line where one says something else than a class, or the classes are too few or many."""
    named = FILES[path.name.casefold()].read(path)
    notes = " ".join(note.message for note in named.notes)
    _check(path, named, notes)
    return named


def _check(path: Path, named: NamedClasses, note: str) -> None:
    """DataError where the classes are too few or many, or not told apart; `note` may say why they are too few."""
    names, colors = named.names, [*named.colors, *([named.ignored_color] if named.ignored_color else ())]
    if len(names) > MAX_CLASSES:
        raise DataError(f"{path} has {len(names)} classes: masks can store at most {MAX_CLASSES}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} names {listed(twice)} twice: give each class one line")
    same = sorted({color for color in colors if colors.count(color) > 1})
    if same:
        raise DataError(f"{path} gives the color {_spelt(same[0])} to two classes: choose different colors")
    if len(names) < 2:
        few = f"{path} has {counted(len(names), 'line')}: the background is a class too, usually the first"
        raise DataError(f"{few}. {note}" if note else few)


def _spelt(color: Color) -> str:
    return " ".join(map(str, color))


def _labelme(path: Path) -> NamedClasses:
    """A name a line; "__ignore__", the first in what labelme is given, is the 255 of its masks and no class."""
    lines = lines_of(path)
    names = [line.strip() for _, line in lines]
    for (number, _), name in zip(lines, names, strict=True):
        if not name:
            raise DataError(f"{path}, line {number}: no class name: the lines name the values 0, 1, 2, ... in order")
    if names and names[0] == LABELME_IGNORE:
        names = names[1:]
    return NamedClasses(tuple(names), tuple(range(len(names))))


LABELME_IGNORE = "__ignore__"


def _is_of_masks(path: Path) -> bool:
    """Whether a labels.txt begins with what only masks have, as labelme's do; others may be of anything."""
    first = head(path, 64).removeprefix(codecs.BOM_UTF8).split(b"\n")[0].strip()
    return first.decode("utf-8", "replace").strip("_").casefold() in ("ignore", "background")


def _colors(path: Path) -> NamedClasses:
    """ "label:red,green,blue:parts:actions" (CVAT); or "red green blue label" or "label red green blue" (CamVid)."""
    names: list[str] = []
    colors: list[Color | None] = []
    for number, line in lines_of(path):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path}, line {number}"
        words = line.replace(",", " ").split()
        if line.count(":") >= 2:
            name, stated = (part.strip() for part in line.split(":")[:2])
            parts = stated.replace(",", " ").split()
        elif len(words) > 3 and all(map(PART.fullmatch, words[:3])):
            parts, name = words[:3], " ".join(words[3:])
        else:
            parts, name = words[-3:], " ".join(words[:-3])
        if not name or (parts and (len(parts) != 3 or not all(map(PART.fullmatch, parts)))):
            raise DataError(
                f"{where}: '{line.strip()[:80]}': a name and a color are expected, such as 'road:128,64,128::'"
            )
        names.append(name)
        colors.append(color_of(parts, where) if parts else None)
    return NamedClasses(tuple(names), tuple(range(len(names))), colors_of_all(path, names, colors))


def _table(path: Path) -> NamedClasses:
    """A table with a heading: a name and r, g, b; or a name and the value of its pixels."""
    numbered = lines_of(path)
    rows = list(zip((number for number, _ in numbered), _cells(path, [line for _, line in numbered]), strict=False))
    heading = [cell.casefold() for cell in rows[0][1]] if rows else []
    name, color, value = (_columns(heading, choices) for choices in (NAME, COLOR, VALUE))
    numbers = color or value
    if not name or not numbers:
        raise DataError(f"{path}, line 1: the columns {listed(heading)}: expected name, r, g, b; or pixel value, class")
    named: dict[str, tuple[int, ...]] = {}
    for number, row in rows[1:]:
        cells = [row[at] if at < len(row) else "" for at in (*name, *numbers)]
        if not cells[0] or cells[0] in named or not all(map(PART.fullmatch, cells[1:])):
            said = ", ".join(row)[:80]
            raise DataError(f"{path}, line {number}: '{said}': a unique name and whole numbers are expected")
        named[cells[0]] = color_of(cells[1:], f"{path}, line {number}") if color else (int(cells[1]),)
    if color:
        return NamedClasses(
            tuple(named), tuple(range(len(named))), tuple((red, green, blue) for red, green, blue in named.values())
        )
    values = tuple(one for (one,) in named.values())
    if len(set(values)) < len(values) or max(values, default=0) >= IGNORED:
        raise DataError(f"{path}: the values are {listed(values)}: each class needs its own, below {IGNORED}")
    return NamedClasses(tuple(named), values)


NAME = (("name",), ("class",), ("label",), ("class_name",))
COLOR = (("r", "g", "b"), ("red", "green", "blue"))
VALUE = (("pixel value",), ("value",), ("index",), ("id",))


def _columns(heading: Sequence[str], choices: Sequence[Sequence[str]]) -> list[int]:
    """The places of the first choice whose words are all in the heading; empty where none is."""
    return next(([heading.index(word) for word in words] for words in choices if {*words} <= {*heading}), [])


def _cells(path: Path, lines: Sequence[str]) -> Iterator[list[str]]:
    try:
        for row in csv.reader(lines, strict=True):
            yield [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV table ({words_of(error)}): export it again") from error


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    read: Callable[[Path], NamedClasses]
    fits: Callable[[Path], bool] = lambda _: True  # whether a file of that name is one


FILES: Mapping[str, Kind] = {  # the first that is there counts
    OWN: Kind(classes_txt.read),
    "class_names.txt": Kind(_labelme),  # of labelme2voc
    "labelmap.txt": Kind(_colors),  # of CVAT's "Segmentation mask" and "CamVid"
    "label_colors.txt": Kind(_colors),  # of CamVid
    "class_dict.csv": Kind(_table),  # of CamVid as it is often copied
    "_classes.csv": Kind(_table),  # of Roboflow, in each split
    "labels.txt": Kind(_labelme, _is_of_masks),  # what labelme was given
}
