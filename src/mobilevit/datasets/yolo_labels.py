"""YOLO's text files, one an image: where each lies, and what its rows mean.

A row is a class number and a box, center and size in normalized coordinates; or a class number and the corners of an
outline (a polygon, or a turned box), of which the box around it is taken. Keypoints may follow a box, or a score and
the number of a track.
"""

import codecs
import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mobilevit.data import folders
from mobilevit.data.finding import inside
from mobilevit.datasets.annotation import Annotation, Corners
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.notes import Notes
from mobilevit.datasets.text_files import head, quoted, read_text
from mobilevit.errors import DataError

NAMES = ("classes.txt", "obj.names", "_darknet.labels")  # of the classes, one a line, where there is no data.yaml
MAX_LABEL_BYTES = 2**24
HEAD_BYTES = 4096
ROW = re.compile(rb"\d+(?:\.0*)?(?:[ \t]+[-+.\deE]+){4,}")
BOX = "box"
ROUNDING = 0.01  # by which a box may leave its image
VISIBILITY = (0.0, 1.0, 2.0)  # of a keypoint: not labeled, hidden, seen

Lines = Iterator[tuple[int, str]]  # numbered from one


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a label file; `values` are what follows the class number."""

    number: int
    label: int
    values: tuple[float, ...]


class Labels:
    """Reads the label file of each image, and knows which were read.

    `numbers` are the classes by their number in the files; `beside` says that the files are expected beside the images;
    `keypoint_values` is how many values the keypoints of a box are, None where nothing says that there are any.
    """

    def __init__(
        self,
        listing: Listing,
        numbers: Mapping[int, int],
        notes: Notes,
        *,
        beside: bool = False,
        keypoint_values: int | None = None,
    ) -> None:
        self.listing, self.numbers, self.notes = listing, numbers, notes
        self.beside, self.keypoint_values = beside, keypoint_values
        self.read: dict[Path, None] = {}
        self._bare: dict[str, list[Path]] = {}  # images without a label file, by name

    def annotations(self, splits: Mapping[str, Sequence[Path]]) -> dict[str, list[Annotation]]:
        """What the label files of the images of each split state; an image without one has no boxes."""
        rows = {image: self._rows(image) for images in splits.values() for image in images}
        kinds = self._kinds(row for found in rows.values() if found for row in found[1])
        stated = {image: self._annotation(image, found, kinds) for image, found in rows.items()}
        self._note_unused(rows.keys())
        return {split: [stated[image] for image in images] for split, images in splits.items()}

    def _rows(self, image: Path) -> tuple[Path, list[Row]] | None:
        """The label file of an image and its rows."""
        path = self._file(image)
        if path is None:
            return None
        self.read[path] = None
        lines = numbered(read_text(path, MAX_LABEL_BYTES))
        return path, [_row(number, line, f"{path}, line {number}") for number, line in lines]

    def _file(self, image: Path) -> Path | None:
        """The label file of an image: where YOLO looks, or the one that is there under the same name in another case,
        or by another rule; DataError where several are."""
        places = self._places(image)
        expected = places[0]
        if os.path.isfile(expected):  # noqa: PTH113 (a third of the time)
            return Path(expected)
        found = dict.fromkeys(path for place in places for path in self._by_name.get(place.casefold(), ()))
        if len(found) > 1:
            first, second = list(found)[:2]
            raise DataError(f"{first} and {second} could both be the labels of {image}: keep one")
        for path in found:
            is_expected = os.fspath(path).casefold() == expected.casefold()
            self.notes.add("other-case" if is_expected else "other-labels", path)
            return path
        self._bare.setdefault(image.stem, []).append(image)
        looked = [f"(looked for {inside(self.listing.root, Path(expected))})"]
        self.notes.add("no-annotation", image, image.exists(), looked)  # else it is counted as missing, later
        return None

    def _places(self, image: Path | str) -> list[str]:
        """Where the label file of an image could lie, the expected place first."""
        places = label_paths(self.listing.root, image)
        return places[::-1] if self.beside else places

    @cached_property
    def _by_name(self) -> Mapping[str, Sequence[Path]]:
        """The text files by path, case aside."""
        found: dict[str, list[Path]] = {}
        for path in self.listing.below(self.listing.root, ".txt"):
            found.setdefault(os.fspath(path).casefold(), []).append(path)
        return found

    def _kinds(self, rows: Iterator[Row]) -> dict[int, str]:
        """What rows of each length are: one decision for all of them, since a single row may look like another kind."""
        lengths: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        for row in rows:
            lengths[len(row.values)].append(row.values)
        return {length: _kind(some, self.keypoint_values) for length, some in lengths.items()}

    def _annotation(self, image: Path, found: tuple[Path, list[Row]] | None, kinds: Mapping[int, str]) -> Annotation:
        if found is None:
            return Annotation(image, image)
        path, rows = found
        known = [row for row in rows if row.label in self.numbers]
        strange = [f"line {row.number} (class {row.label:.15g})" for row in rows if row.label not in self.numbers]
        self.notes.add("unknown-class", path, len(strange), strange)
        boxes = [_corners(row, kinds[len(row.values)], f"{path}, line {row.number}") for row in rows]
        for row in known:
            if (kind := kinds[len(row.values)]) != BOX:
                self.notes.add(kind, path, places=[f"line {row.number}"])
        return Annotation(
            image,
            path,
            [corners for corners, row in zip(boxes, rows, strict=True) if row.label in self.numbers],
            [self.numbers[row.label] for row in known],
            [False] * len(known),
            in_shares=True,
            record="line",
            numbers=[row.number for row in known],
        )

    def _note_unused(self, images: Collection[Path]) -> None:
        """What lies beside the `images` and is not listed, and labels whose image is not there."""
        places = [folder for folder in dict.fromkeys(path.parent for path in images) if folder.is_dir()]
        beside = [path for folder in places for path in folders.files_in(folder) if folders.is_picture(path)]
        for path in beside:
            if path not in images:
                self.notes.add("not-listed", path)
        expected = {self._places(path)[0] for path in self.listing.images}
        for path in self.listing.below(self.listing.root, ".txt"):
            if (
                path not in self.read
                and os.fspath(path) not in expected
                and path.name not in NAMES
                and holds_rows(path)
            ):
                bare, split = self._bare.get(path.stem, []), self.listing.split_of(path)
                image = next((one for one in bare if self.listing.split_of(one) == split), next(iter(bare), None))
                place = f"(of the name of {inside(self.listing.root, image)}, in another folder)" if image else ""
                self.notes.add("missing-picture", path, places=[place])


def holds_rows(path: Path) -> bool:
    """Whether the first line of a text file looks like one of YOLO's."""
    lines = head(path, HEAD_BYTES).removeprefix(codecs.BOM_UTF8).split(b"\n")
    return ROW.fullmatch(lines[0].strip()) is not None


def numbered(text: str) -> Lines:
    """The lines that are not blank, without the space around them."""
    return ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip())


def label_paths(root: Path, image: Path | str) -> list[str]:
    """Where a text file could lie: the last folder `images` becomes `labels`, or one before; or beside the image.

    As text, which takes a tenth of the time.
    """
    beside = f"{os.path.splitext(image)[0]}.txt"  # noqa: PTH122
    start = os.path.join(root, "") if root != Path() else ""  # noqa: PTH118
    parts = beside.removeprefix(start).split(os.sep)  # noqa: PTH206
    places = [place for place, part in enumerate(parts[:-1]) if part.casefold() == "images"]
    changed = ([*parts[:place], "labels", *parts[place + 1 :]] for place in reversed(places))
    return [*(start + os.sep.join(some) for some in changed), beside]  # noqa: PTH118


def _row(number: int, line: str, where: str) -> Row:
    try:
        label, *values = map(float, line.split())
    except ValueError:
        raise DataError(f"{where}: '{quoted(line)}' is no row of numbers") from None
    if not (label >= 0 and label.is_integer()):
        raise DataError(f"{where}: the class is {label:g}: a whole number from 0 is expected")
    return Row(number, int(label), tuple(values))


def _kind(rows: Sequence[tuple[float, ...]], keypoint_values: int | None) -> str:
    """What rows of one length are: BOX, or one of the kinds of notes, or "" for nothing that is known."""
    length = len(rows[0])
    if length <= 4:
        return BOX if length == 4 else ""
    if keypoint_values is not None and length == 4 + keypoint_values:
        return "keypoints"
    if length == 5 or (length == 6 and any(row[5] > 1 and row[5].is_integer() for row in rows)):
        return "extra-column" if all(map(_is_inside, rows)) else ""  # no corner of an outline lies beyond 1
    if (length - 4) % 3 == 0 and _are_visibilities([row[6::3] for row in rows]):
        return "keypoints"
    return "" if length % 2 else "polygon"


def _is_inside(row: tuple[float, ...]) -> bool:
    """Whether the first four values are a box in its image, up to what rounding does."""
    x, y, width, height = row[:4]
    return all(abs(center - 0.5) + side / 2 <= 0.5 + ROUNDING for center, side in ((x, width), (y, height)))


def _are_visibilities(thirds: Sequence[tuple[float, ...]]) -> bool:
    """Whether every third value is a keypoint's visibility; without a 2, it could be an outline on the border."""
    return all(value in VISIBILITY for row in thirds for value in row) and any(2.0 in row for row in thirds)


def _corners(row: Row, kind: str, where: str) -> Corners:
    values = row.values
    if not kind:
        raise DataError(f"{where}: {len(values) + 1} numbers: a class and four are expected, or a class and an outline")
    if kind != "polygon":
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if strange := [value for value in values if not math.isfinite(value)]:  # which min and max may pass over
        return (strange[0],) * 4
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
