"""YOLO label files, one per image: where each is found, and how its rows are read together."""

import codecs
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from mobilevit.datasets.annotation_records import Annotation
from mobilevit.datasets.finding import inside
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.text_files import head, read_text
from mobilevit.datasets.yolo_rows import BOX, LabelRow, corners, kind_of, parsed, place_of
from mobilevit.errors import DataError
from mobilevit.images import folders

NAMES = ("classes.txt", "obj.names", "_darknet.labels")  # of the classes, one a line, where there is no data.yaml
MAX_LABEL_BYTES = 2**24
HEAD_BYTES = 4096
ROW = re.compile(rb"\d+(?:\.0*)?(?:[ \t]+[-+.\deE]+){4,}")

Lines = Iterator[tuple[int, str]]  # numbered from one


class Labels:
    """Reads the label file of each image, and knows which were read.

    `numbers` are the classes by their number in the files; `beside` says that the files are expected beside the images;
    `keypoint_values` is how many values the keypoints of a box are, None where nothing says that there are any.
    """

    def __init__(
        self,
        listing: Listing,
        numbers: Mapping[int, int],
        notes: Repairs,
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

    def _rows(self, image: Path) -> tuple[Path, list[LabelRow]] | None:
        """The label file of an image and its rows."""
        path = self._file(image)
        if path is None:
            return None
        self.read[path] = None
        lines = numbered(read_text(path, MAX_LABEL_BYTES))
        return path, [parsed(number, line, f"{path}, line {number}") for number, line in lines]

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

    def _kinds(self, rows: Iterator[LabelRow]) -> dict[int, str]:
        """What rows of each length are: one decision for all of them, since a single row may look like another kind."""
        lengths: dict[int, list[tuple[float, ...]]] = defaultdict(list)
        for row in rows:
            lengths[len(row.values)].append(row.values)
        are_alike = len(lengths.keys() - {4}) == 1
        return {length: kind_of(some, self.keypoint_values, are_alike=are_alike) for length, some in lengths.items()}

    def _annotation(
        self, image: Path, found: tuple[Path, list[LabelRow]] | None, kinds: Mapping[int, str]
    ) -> Annotation:
        if found is None:
            return Annotation(image, image)
        path, rows = found
        known = [row for row in rows if row.label in self.numbers]
        strange = [f"line {row.number} (class {row.label:.15g})" for row in rows if row.label not in self.numbers]
        self.notes.add("unknown-class", path, len(strange), strange)
        boxes = [corners(row, kinds[len(row.values)], f"{path}, line {row.number}") for row in rows]
        for row in known:
            if (kind := kinds[len(row.values)]) != BOX:
                self.notes.add(kind, path, places=[place_of(row, kind)])
        return Annotation(
            image,
            path,
            [box for box, row in zip(boxes, rows, strict=True) if row.label in self.numbers],
            [self.numbers[row.label] for row in known],
            [False] * len(known),
            in_shares=True,
            record="line",
            numbers=[row.number for row in known],
        )

    def _note_unused(self, images: Collection[Path]) -> None:
        """What lies beside the `images` and is not listed, and labels whose image is not there."""
        places = [folder for folder in dict.fromkeys(path.parent for path in images) if folder.is_dir()]
        beside = [path for folder in places for path in folders.files_in(folder) if folders.is_image(path)]
        for path in beside:
            if path not in images:
                self.notes.add("not-listed", path)
        expected = {self._places(path)[0] for path in self.listing.images}
        for path in self.listing.below(self.listing.root, ".txt"):
            if (
                path not in self.read
                and os.fspath(path) not in expected
                and path.name.casefold() not in NAMES
                and holds_rows(path)
            ):
                bare, split = self._bare.get(path.stem, []), self.listing.split_of(path)
                image = next((one for one in bare if self.listing.split_of(one) == split), next(iter(bare), None))
                place = f"(of the name of {inside(self.listing.root, image)}, in another folder)" if image else ""
                self.notes.add("missing-image", path, places=[place])


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
