"""The common structure into which every annotation format is read, before the images are looked up."""

import os
import re
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets.repairs import Repairs
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError

Corners = tuple[float, float, float, float]  # left, top, right, bottom
Size = tuple[int, int]  # width, height

WHOLE = "whole"  # in place of a split: everything, to be split by seed
TRAINVAL = "trainval"  # training and validation images together, as Pascal VOC has them
MAX_IMAGE_SIZE = 2**24  # of a stated width or height: above, float32 no longer tells pixels apart


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is stated about one image, nothing of it checked against the image."""

    image: Path
    where: Path  # what a message names: the annotation file, or the image where one file speaks of many
    boxes: Sequence[Corners] = ()  # in pixels, or in normalized coordinates
    labels: Sequence[int] = ()  # class indices
    ignore: Sequence[bool] = ()
    size: Size | None = None
    in_shares: bool = False
    record: str = "box"  # what a message calls a box in the file: "line", "object", "annotation"
    numbers: Sequence[object] = ()  # of each box there

    def place(self, index: int) -> str:
        """Where in the file a box is."""
        return f"{self.record} {written(self.numbers[index])}"


@dataclass(frozen=True)
class Statements:
    """A dataset as its annotation files state it."""

    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Annotation]]  # by "train", "val", "test", TRAINVAL or WHOLE
    notes: Repairs
    files: tuple[Path, ...]  # the annotation files that were read, and lists and tables beside them


def class_name(stated: str) -> str:
    """The name in a form that every format can hold: single spaces for white space, no control characters."""
    return " ".join(UNWRITABLE.sub("", stated).split())


UNWRITABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff\ufffe\uffff]")  # in XML, or on a line


def checked_names(names: Sequence[str], where: Path) -> tuple[str, ...]:
    """Class names as they are; DataError where there is none, one is empty, or two are the same."""
    if not names:
        raise DataError(f"{where} has no class names: list them there")
    for index, name in enumerate(names):
        if not name:
            raise DataError(f"{where}: class {index} has an empty name: give it a name")
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise DataError(f"{where} names the class '{quoted(twice)}' twice: merge the two, or rename one")
    return tuple(names)


def path_inside(root: Path, base: Path, stated: str, where: str) -> Path:
    """The path that a file states, relative to `base`; DataError naming `where` if it leads out of `root`."""
    path = joined_inside(root, base, stated, where)
    if path is None:
        raise leads_out(root, stated, where)
    return path


def joined_inside(root: Path, base: Path, stated: str, where: str) -> Path | None:
    """As `path_inside`; None where it leads out."""
    stated = stated.replace("\\", "/")  # as Windows writes it
    if "\0" in stated or not stated.strip():
        raise DataError(f"{where}: '{quoted(stated)}' is not a path")
    path = os.path.normpath(os.path.join(base, stated))  # noqa: PTH118 (pathlib takes ten times as long)
    if path.startswith(os.path.join(os.path.normpath(root), "")):  # noqa: PTH118
        return Path(path)
    inside = os.path.relpath(path, root)  # one of the two may be absolute, or `root` the working folder
    return None if Path(inside).parts[:1] == (os.pardir,) else root / inside


def leads_out(root: Path, stated: str, where: str) -> DataError:
    return DataError(f"{where}: the path '{quoted(stated)}' points outside {root}: use paths inside the dataset")


def written(value: object) -> str:
    """A value for a message as Python writes it, in short: aliases of YAML make small files of endless lists."""
    return quoted(reprlib.repr(value))
