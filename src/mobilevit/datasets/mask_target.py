"""The segmentation target of an image: a mask on disk, read on demand, and the meaning of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.class_files import MAX_CLASSES as MAX_CLASSES
from mobilevit.datasets.classes_txt import IGNORED as IGNORED
from mobilevit.datasets.finding import listed
from mobilevit.errors import ImageError
from mobilevit.images import decoding
from mobilevit.text import words_of

Color = tuple[int, int, int]
Classes = NDArray[np.uint8]  # (H, W): the class of every pixel

UNKNOWN = -1  # in place of a class: no mask may have the value


@dataclass(frozen=True)
class Coding:
    """What the values of masks mean. 255 is IGNORED, unless the masks are stored in colors."""

    lookup: tuple[int, ...]  # the class of each value from 0; IGNORED and UNKNOWN may stand among them
    colors: tuple[Color, ...] = ()  # of each value, where masks are stored in colors
    ignored: Color | None = None  # the color of pixels that count for nothing

    @property
    def in_gray(self) -> bool:
        """Whether every color is a gray: then the values of grayscale masks are colors too."""
        return bool(self.colors) and all(red == green == blue for red, green, blue in self.colors)


@dataclass(frozen=True)
class Mask:
    """The classes of the pixels of `image`, stored at `path`."""

    path: Path
    image: Path
    coding: Coding

    @property
    def files(self) -> tuple[Path, ...]:
        """Images that it needs."""
        return (self.path,)

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.path)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), upright; ImageError where it cannot be opened."""
        return decoding.header(self.path).size

    def read(self) -> Classes:
        """(H, W) uint8, IGNORED where a pixel counts for nothing; ImageError where broken or of other values."""
        with decoding.opened(self.path) as source:
            one_bit, jpeg, palette = source.image.mode == "1", is_jpeg(source), _palette(source)
            stored = source.values()
        if one_bit and self.coding.in_gray and (255, 255, 255) in self.coding.colors:
            stored = stored * np.uint8(255)  # its 1 is white
        try:
            return decoded(_in_known_colors(stored, palette, self.coding), self.coding)
        except UnknownValuesError as error:
            raise ImageError(f"{self.path} {JPEG if jpeg else error}") from None

    def read_for(self, size: tuple[int, int]) -> Classes:
        """As `read`, of an image of this (width, height), upright; ImageError where the mask has another size."""
        classes = self.read()
        if classes.shape != size[::-1]:
            raise ImageError(f"{self.name} {size_problem(classes.shape[::-1], size)}")
        return classes

    def relabeled(self, mapping: tuple[int, ...]) -> "Mask":
        """With class i replaced by class mapping[i]."""
        return replace(self, coding=_relabeled(self.coding, mapping))

    def counts(self) -> Mapping[int, int]:
        """How many pixels each class has; ImageError as from `read`."""
        try:
            stat = self.path.stat()
        except OSError as error:
            raise ImageError(f"{self.path} cannot be opened ({words_of(error)}): check the path") from error
        return _counts(self, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2**16)
def _counts(mask: Mask, _mtime_ns: int, _size_bytes: int) -> Mapping[int, int]:
    """A check, its table and its sheet of samples all ask, and a mask takes a millisecond or more to read."""
    counts = np.bincount(mask.read().ravel(), minlength=256)
    return {int(index): int(counts[index]) for index in np.flatnonzero(counts[:IGNORED])}


@lru_cache(maxsize=64)
def _relabeled(coding: Coding, mapping: tuple[int, ...]) -> Coding:
    """The masks of a dataset share one coding."""
    return replace(coding, lookup=tuple(mapping[index] if 0 <= index < IGNORED else index for index in coding.lookup))


def _palette(mask: decoding.OpenImage) -> NDArray[np.uint8] | None:
    """(N, 3) the colors of a palette image."""
    colors = mask.image.getpalette("RGB") if mask.image.mode == "P" else None
    return None if colors is None else np.array(colors, np.uint8).reshape(-1, 3)


def _in_known_colors(stored: NDArray[Any], palette: NDArray[np.uint8] | None, coding: Coding) -> NDArray[Any]:
    """(H, W, 3) the colors of a palette image, where classes have colors and it has no others; else as it is stored.

    Programs that make files smaller change the order of a palette, and the indices with it.
    """
    if palette is None or not coding.colors or coding.in_gray or stored.max() >= len(palette):
        return stored
    colors, _ = _color_table(coding)
    used = palette[np.unique(stored)].astype(np.int64) @ (65536, 256, 1)
    return palette[stored] if np.isin(used, colors).all() else stored


def is_jpeg(mask: decoding.OpenImage) -> bool:
    return mask.image.format in ("JPEG", "MPO")


JPEG = "is a JPEG, whose compression changes values: save masks as PNG"


def size_problem(mask: tuple[int, ...], image: tuple[int, int]) -> str:
    """What to say of a mask whose (width, height) is not its image's."""
    if mask == image[::-1]:
        hint = "rotate the mask; the image may have been rotated by its EXIF orientation after annotation"
    else:
        hint = "export it again at the size of the image"
    return f"is {mask[0]} x {mask[1]}, but its image is {image[0]} x {image[1]}: {hint}"


class UnknownValuesError(ValueError):
    """A mask has values that are no classes; the text says which."""


def decoded(stored: NDArray[Any], coding: Coding) -> Classes:
    """The classes (H, W) of a mask as it is stored, (H, W) integers or (H, W, 3) RGB; UnknownValuesError."""
    if stored.ndim == 3 and not coding.colors:
        if (stored != stored[..., :1]).any():
            raise UnknownValuesError("uses colors, but the classes have none: give each class a color in classes.txt")
        stored = stored[..., 0]  # a program that stores three channels whatever it is given
    if stored.ndim == 3 or coding.in_gray:
        return _by_color(stored, coding)
    return _by_index(stored, coding)


def _by_index(stored: NDArray[Any], coding: Coding) -> Classes:
    outside = (stored < 0) | (stored > IGNORED)
    classes = _table(coding.lookup)[np.where(outside, IGNORED + 1, stored)]
    if classes.min() < 0:
        values = np.unique(stored[classes < 0]).tolist()
        raise UnknownValuesError(f"{_values(values)}: {_known_values(coding)}{_to_ignore(values)}")
    return classes.astype(np.uint8)


def _known_values(coding: Coding) -> str:
    """The values that a mask may have, for people."""
    known = [value for value, index in enumerate(coding.lookup) if 0 <= index < IGNORED]
    ignored = [value for value, index in enumerate(coding.lookup) if index == IGNORED]
    in_order = known == list(range(known[0], known[-1] + 1))
    classes = f"{known[0]} to {known[-1]}" if in_order else listed(known)
    left_out = f"{listed([*ignored, IGNORED])} are" if ignored else f"{IGNORED} is"
    return f"classes are {classes}, and {left_out} ignored"


def _to_ignore(strange: Sequence[int]) -> str:
    """What to write where a single value is strange: such as the number after those of the classes, for "unlabeled"."""
    if len(strange) != 1 or not 0 <= strange[0] < IGNORED:
        return ""
    return f"; in classes.txt, add 'ignore {strange[0]}' to ignore it, or a class name for it"


@lru_cache(maxsize=64)
def _table(lookup: tuple[int, ...]) -> NDArray[np.int16]:
    """(257,) the class of each value, -1 where it has none, as has 256, which stands for all others."""
    table = np.full(IGNORED + 2, -1, np.int16)
    table[IGNORED] = IGNORED
    table[: len(lookup)] = lookup
    return table


def _by_color(stored: NDArray[Any], coding: Coding) -> Classes:
    packed = stored.astype(np.int64) * 0x010101 if stored.ndim == 2 else stored.astype(np.int64) @ (65536, 256, 1)
    colors, classes = _color_table(coding)
    place = np.searchsorted(colors, packed).clip(max=len(colors) - 1)
    strange: NDArray[np.bool_] = colors[place] != packed
    if strange.any():
        values = np.unique(packed[strange]).tolist()
        said = _values([f"#{value:06x}" for value in values], "color")
        raise UnknownValuesError(f"{said}: {_remedy(values, set(np.unique(packed).tolist()), coding)}")
    return np.asarray(classes[place])


def _remedy(strange: Sequence[int], all_values: set[int], coding: Coding) -> str:
    """What to do about strange colors: numbers of classes in their place; one; white, which often stands for edges."""
    numbers = {value * 0x010101 for value in range(len(coding.lookup))}
    doubtful = numbers if coding.in_gray else numbers - {0}  # black among colors is often what has no label
    if doubtful.intersection(strange) and all_values <= {*numbers, WHITE}:
        if coding.in_gray:
            return "its values are class indices, but classes.txt has colors: remove the colors"
        return "its values are class indices, but its three channels are read as colors: save it as grayscale"
    if coding.ignored is not None or (len(strange) > 1 and strange[-1] != WHITE) or strange[-1] in doubtful:
        return "no class has this color"
    red, green, blue = strange[-1].to_bytes(3, "big")
    return f"no class has this color; add 'ignore {red} {green} {blue}' to classes.txt to ignore it"


WHITE = 0xFFFFFF


@lru_cache(maxsize=64)
def _color_table(coding: Coding) -> tuple[NDArray[np.int64], Classes]:
    """Colors as numbers, ascending, and the class of each."""
    pairs = dict(zip(coding.colors, coding.lookup, strict=True))
    if coding.ignored is not None:
        pairs[coding.ignored] = IGNORED
    numbers = {(red << 16) + (green << 8) + blue: index for (red, green, blue), index in pairs.items()}
    ordered = sorted(numbers)
    return np.array(ordered, np.int64), np.array([numbers[number] for number in ordered], np.uint8)


def _values(values: Sequence[object], noun: str = "value") -> str:
    return f"has the {noun}{'s' if len(values) > 1 else ''} {listed(values)}"
