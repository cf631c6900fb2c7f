"""The classes of masks and their values or colors, from a file or from the masks themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobilevit import class_tables
from mobilevit.datasets import class_files, instance_masks
from mobilevit.datasets.classes_txt import NamedClasses
from mobilevit.datasets.finding import Finding, Severity, inside, listed
from mobilevit.datasets.image_inspection import Broken
from mobilevit.datasets.mask_target import IGNORED, JPEG, MAX_CLASSES, UNKNOWN, Coding, Color, is_jpeg
from mobilevit.datasets.palette import PALETTE
from mobilevit.datasets.splitting import evenly
from mobilevit.errors import DataError, ImageError
from mobilevit.images import decoding
from mobilevit.images.threads import in_threads
from mobilevit.spec import ClassLabel, labels

FILE = class_files.OWN
READ_MASKS = 1000  # that are looked at where no file says what the classes are: about two seconds


@dataclass(frozen=True)
class ClassList:
    """The classes in the order of the values in the masks."""

    classes: tuple[ClassLabel, ...]
    coding: Coding
    notes: tuple[Finding, ...] = ()


def from_file(path: Path) -> ClassList:
    """What a file that `class_files` knows says; DataError with the line where one is no class."""
    listing = class_files.read(path)
    lookup = [UNKNOWN] * (max(*listing.values, *listing.ignored_values, 0) + 1)
    for value in listing.ignored_values:
        lookup[value] = IGNORED
    for index, value in enumerate(listing.values):
        lookup[value] = index
    if not listing.colors:
        return ClassList(labels(listing.names), Coding(tuple(lookup)), listing.notes)
    coding = Coding(tuple(range(len(listing.names))), listing.colors, _ignored_color(path, listing))
    return ClassList(labels(listing.names), coding, listing.notes)


def _ignored_color(path: Path, listing: NamedClasses) -> Color | None:
    """The color to leave out. Where all colors are grays, a value is one of them."""
    values = listing.ignored_values
    if not values:
        return listing.ignored_color
    in_gray = all(red == green == blue for red, green, blue in listing.colors)
    if not in_gray or len(values) > 1 or listing.ignored_color is not None:
        raise DataError(
            f"{path}: the classes have colors, so ignored pixels need a color too: 'ignore 224 224 192' "
            f"in place of 'ignore {values[0]}'"
        )
    gray = (values[0],) * 3
    if gray in listing.colors:
        raise DataError(f"{path}: the value {values[0]} is ignored, but also the color of a class")
    return gray


def from_masks(root: Path, masks: Sequence[Path]) -> ClassList:
    """Classes for the values found in the masks, by number; DataError where they do not say enough."""
    looked = _look(root, masks)
    if looked.colors:
        raise DataError(_in_colors(root, looked))
    return _by_number(root, looked)


def of_voc(root: Path, masks: Sequence[Path]) -> ClassList:
    """The 21 of Pascal VOC where all values or colors of the masks are among theirs; else as `from_masks`."""
    looked, classes = _look(root, masks), class_tables.voc21()
    colors = PALETTE[: len(classes)]
    present = {PALETTE.index(color) if color in PALETTE else len(classes) for color in looked.colors}
    present = (present | {value for values in looked.values for value in values}) - {IGNORED}
    if not present - {0} or max(present) >= len(classes):
        return from_masks(root, masks)
    if unread := class_files.unread(root):
        note = f"{unread.name} is ignored: if it has the class names of the masks, list them in {FILE}, value 0 first"
        found = from_masks(root, masks)
        return replace(found, notes=(_note(note, "warning"), *found.notes))
    severity: Severity = "info" if len(present) > len(classes) / 2 else "warning"
    names = listed([classes[value].name for value in sorted(present)])
    note = (
        f"no file with class names: using those of Pascal VOC ({names}). If yours differ, list them in {FILE}, "
        "one per line"
    )
    coding = Coding(tuple(range(len(classes))), colors, PALETTE[IGNORED])
    return ClassList(classes, coding, (_note(note, severity), *instance_masks.findings(looked.values)))


@dataclass(frozen=True)
class _Looked:
    """What is in some of the masks."""

    colors: Sequence[Color]  # of those that have any, ascending
    values: Sequence[set[int]]  # of each of the others
    share: str  # for people: " of 1,000 masks", where these are not all

    @property
    def every_value(self) -> list[int]:
        return sorted(set().union(*self.values))


def _look(root: Path, masks: Sequence[Path]) -> _Looked:
    """DataError where none can be read, or one is a JPEG."""
    chosen = evenly(masks, READ_MASKS)
    found = in_threads(values_of, chosen)
    readable = [mask for mask in found if not isinstance(mask, Broken)]
    broken = [f"{inside(root, mask.path)} {mask.reason}" for mask in found if isinstance(mask, Broken)]
    if not readable:
        raise DataError(f"no mask of {root} can be read: {listed(broken, 3, between='; ')}")
    share = "" if len(chosen) == len(masks) else f" of {len(chosen):,} masks"
    colors = sorted({color for colors, _ in readable for color in colors})
    return _Looked(colors, [values for _, values in readable if values], share)


def values_of(path: Path) -> tuple[set[Color], set[int]] | Broken:
    """The colors of a mask, where it has any, or its values; or why it cannot be read. DataError for a JPEG."""
    try:
        with decoding.opened(path) as source:
            if is_jpeg(source):
                raise DataError(f"{path} {JPEG}")
            stored = source.values()
    except ImageError as error:
        return Broken.by(path, error)
    if stored.ndim == 3 and (stored != stored[..., :1]).any():
        packed = np.unique(stored.astype(np.int64) @ (65536, 256, 1)).tolist()
        return {(value >> 16, value >> 8 & 255, value & 255) for value in packed}, set()
    return set(), set(np.unique(stored).tolist())


def _in_colors(root: Path, looked: _Looked) -> str:
    lines = listed([" ".join(map(str, color)) for color in looked.colors], 8, between="; ")
    return (
        f"the masks of {root} use colors ({lines}): write {root / FILE}, one class per line with its color, "
        f"such as 'background {' '.join(map(str, looked.colors[0]))}'"
    )


def _by_number(root: Path, looked: _Looked) -> ClassList:
    values = looked.every_value
    if values == [0, IGNORED]:
        black_and_white = Coding((0, 1), ((0, 0, 0), (255, 255, 255)))
        note = f"the masks are black and white, and there is no {FILE}: using white as the foreground"
        return ClassList(labels(["background", "foreground"]), black_and_white, (_note(note),))
    if values in ([0], [IGNORED]):
        raise DataError(
            f"the masks of {root} contain only the value {values[0]}, so there is nothing to learn: annotate a "
            f"second class. If others are rare, list all in {root / FILE}, one per line"
        )
    known, of_instances = [value for value in values if value != IGNORED], instance_masks.findings(looked.values)
    if known[-1] >= MAX_CLASSES or known[0] < 0:
        hint = f". {of_instances[0].message}" if of_instances else ""
        raise DataError(
            f"the masks of {root} have the values {listed(values)}, which are not class indices: expected 0 "
            f"to {MAX_CLASSES - 1}, and 255 for ignored pixels. Define them in {root / FILE}{hint}"
        )
    classes = labels(f"class_{value}" for value in range(known[-1] + 1))
    found = listed(values)
    note = f"no {FILE}: the values{looked.share} ({found}) make {len(classes)} classes; name them there, one per line"
    return ClassList(classes, Coding(tuple(range(len(classes)))), (_note(note), *of_instances))


def _note(message: str, severity: Severity = "info") -> Finding:
    return Finding(severity, "class-names", message)
