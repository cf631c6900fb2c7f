"""Reads tables of boxes, a row a box: Roboflow's `_annotations.csv` and others whose header names the same columns."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets.annotation_records import MAX_IMAGE_SIZE, WHOLE, Corners, Size, Statements
from mobilevit.datasets.image_paths import ImagePaths
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.splitting import split_named
from mobilevit.datasets.stated_boxes import StatedBox, StatedImage, statements
from mobilevit.datasets.text_files import head, quoted, read_text
from mobilevit.errors import DataError
from mobilevit.text import words_of

LAYOUT = "_annotations.csv beside the images, with filename, class, xmin, ymin, xmax, ymax"
HEAD_BYTES = 2**12
SEPARATORS = ",;\t"
COLUMNS: Mapping[str, tuple[str, ...]] = {  # other words for them, in any case, without spaces, "_" and "-"
    "image": ("filename", "image", "imagepath", "imagename", "imageid", "path", "filepath", "file", "img"),
    "class": ("class", "label", "classname", "labelname", "category", "name"),
    "left": ("xmin", "x1", "left", "bboxxmin"),
    "top": ("ymin", "y1", "top", "bboxymin"),
    "right": ("xmax", "x2", "right", "bboxxmax"),
    "bottom": ("ymax", "y2", "bottom", "bboxymax"),
    "width": ("width", "imagewidth"),
    "height": ("height", "imageheight"),
}
OPTIONAL = ("class", "width", "height")
SIDES = ("left", "top", "right", "bottom")


def fits(listing: Listing) -> bool:
    """Whether there is a table with an image and the four sides of a box in its header."""
    return bool(_files(listing))


def read(listing: Listing) -> Statements:
    """What the tables state; images that they do not name are left out."""
    images, files = ImagePaths(listing, Repairs()), _files(listing)
    splits: dict[str, list[StatedImage]] = {}
    tables = {path: list(_rows(path)) for path in files}
    for path, rows in tables.items():
        splits.setdefault(_split_of(listing, path) or WHOLE, []).extend(_images(images, path, rows))
    images.refuse_outside()
    if len(splits) > 1 and WHOLE in splits:
        strays = [path for path in files if _split_of(listing, path) is None]
        raise DataError(
            f"{strays[0]} does not name its split: rename it to train.csv, val.csv or test.csv, or remove it"
        )
    in_shares = _are_shares([row.corners for rows in tables.values() for row in rows if row.corners])
    for path in files if in_shares else ():
        images.notes.add("shares", path)
    return statements(listing, images.notes, splits, files, record="line", in_shares=in_shares)


@dataclass(frozen=True, slots=True)
class _BoxRow:
    number: int  # of its line
    image: str
    name: str
    corners: Corners | None  # None where the image has no box
    size: Size | None


def _files(listing: Listing) -> list[Path]:
    return [path for path in listing.below(listing.root, ".csv") if _columns(_header(path)) is not None]


def _header(path: Path) -> list[str]:
    line = head(path, HEAD_BYTES).decode("utf-8-sig", "replace").lstrip("\ufffd").splitlines()[:1]
    return next(csv.reader(line, delimiter=_separator(line[0]), strict=False), []) if line else []


def _separator(line: str) -> str:
    return max(SEPARATORS, key=line.count)


def _columns(header: Sequence[str]) -> dict[str, int] | None:
    """The place of each column; None where the header is not one of a table of boxes."""
    words = [re.sub(r"[\s_-]", "", word).casefold() for word in header]
    found = {
        column: next((words.index(word) for word in spellings if word in words), None)
        for column, spellings in COLUMNS.items()
    }
    if any(found[column] is None for column in COLUMNS if column not in OPTIONAL):
        return None
    return {column: place for column, place in found.items() if place is not None}


def _split_of(listing: Listing, path: Path) -> str | None:
    """By the folder's name, or by the words in the file's: train_labels.csv."""
    words = re.split(r"[^a-z]+", path.stem.casefold())
    return listing.split_of(path) or next(filter(None, map(split_named, words)), None)


def _rows(path: Path) -> Iterator[_BoxRow]:
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text.partition("\n")[0]))
    columns = _columns(next(reader, [])) or {}
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(cells, columns, reader.line_num, f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {words_of(error)}: export the table again") from error


def _row(cells: Sequence[str], columns: Mapping[str, int], number: int, where: str) -> _BoxRow:
    if len(cells) <= max(columns.values()):
        raise DataError(f"{where}: {len(cells)} columns, fewer than the header has")
    values = {column: cells[place].strip() for column, place in columns.items()}
    if not values["image"]:
        raise DataError(f"{where}: the image name is missing")
    sides = [values[side] for side in SIDES]
    corners = None if not any(sides) else tuple(_number(values[side], side, where) for side in SIDES)
    return _BoxRow(number, values["image"], values.get("class", ""), corners, _size(values, where))  # type: ignore[arg-type]


def _number(text: str, what: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: {what} is '{quoted(text)}': a number is expected") from None


def _size(values: Mapping[str, str], where: str) -> Size | None:
    """As stated; None where it is not."""
    if not values.get("width") or not values.get("height"):
        return None
    width, height = (_number(values[side], side, where) for side in ("width", "height"))
    if not (0 <= width <= MAX_IMAGE_SIZE and 0 <= height <= MAX_IMAGE_SIZE):
        raise DataError(f"{where}: the size is {width:g} x {height:g}: pixels are expected")
    return (round(width), round(height)) if width >= 1 and height >= 1 else None


def _images(images: ImagePaths, path: Path, rows: Sequence[_BoxRow]) -> list[StatedImage]:
    """The images of one table, in the order in which it names them."""
    named: dict[str, StatedImage] = {}
    stated: dict[Path, StatedImage] = {}
    split = _split_of(images.listing, path)
    for row in rows:
        if row.image not in named:
            found = images.find(row.image, path.parent, f"{path}, line {row.number}", split)
            named[row.image] = stated.setdefault(found, StatedImage(found, path, size=row.size))
        if row.corners:
            named[row.image].boxes.append(StatedBox(row.name, row.corners, row.number))
    return list(stated.values())


def _are_shares(boxes: Sequence[Corners]) -> bool:
    """Whether all lie between 0 and 1: no table in pixels has such boxes alone."""
    return bool(boxes) and all(0 <= value <= 1 for corners in boxes for value in corners)
