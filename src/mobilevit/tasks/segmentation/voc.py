"""The layout of Pascal VOC: JPEGImages, SegmentationClass, and lists of names in ImageSets/Segmentation."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mobilevit import class_tables
from mobilevit.data import folders
from mobilevit.errors import DataError
from mobilevit.tasks.segmentation import layout
from mobilevit.tasks.segmentation.class_list import ClassList
from mobilevit.tasks.segmentation.layout import Matched, Pair
from mobilevit.tasks.segmentation.palette import PALETTE
from mobilevit.tasks.segmentation.target import Coding

PICTURES, MASKS, LISTS = "JPEGImages", "SegmentationClass", Path("ImageSets", "Segmentation")
SPLITS = {"train": "train.txt", "val": "val.txt", "test": "test.txt"}
WHOLE = "trainval.txt"  # read where one of its halves has no list


def recognises(root: Path) -> bool:
    return (root / PICTURES).is_dir() and (root / MASKS).is_dir()


def matched(root: Path) -> dict[str | None, Matched]:
    """The pictures of each list with their masks; under None those that are still to be split."""
    whole = layout.matched(Pair(root / PICTURES, root / MASKS))
    found = lists(root)
    if not found:
        return {None: Matched(whole.masks, (), whole.no_picture)}  # pictures for boxes alone are no mistake
    return {split: _of_list(root, path, whole) for split, path in found.items()}


def lists(root: Path) -> dict[str | None, Path]:
    """The list of each split; under None that of training and val pictures, where one of the two has none."""
    found: dict[str | None, Path] = {split: root / LISTS / name for split, name in SPLITS.items()}
    found = {split: path for split, path in found.items() if path.is_file()}
    whole = root / LISTS / WHOLE
    if found.keys() >= {"train", "val"} or not whole.is_file():
        return found
    return {None: whole, **{split: path for split, path in found.items() if split == "test"}}


def _of_list(root: Path, path: Path, whole: Matched) -> Matched:
    """The part of `whole` that a list names, in its order; a line may have more words, or a path."""
    pictures = {picture.stem: picture for picture in (*whole.masks, *whole.no_mask)}
    found = [pictures.get(name, root / PICTURES / f"{name}.jpg") for name in _names(path)]
    masks = {picture: whole.masks[picture] for picture in found if picture in whole.masks}
    return Matched(masks, [picture for picture in found if picture not in masks], ())


def _names(path: Path) -> Sequence[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): write one name of a picture a line") from error
    names = list(dict.fromkeys(_stem(line.split()[0]) for line in lines if line.strip()))
    if not names:
        raise DataError(f"{path} is empty: write the name of a picture on each line, or remove the file")
    return names


def _stem(word: str) -> str:
    """The name in "2007_000032", "2007_000032.jpg" and "/JPEGImages/2007_000032.jpg"."""
    name = word.replace("\\", "/").rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[0] if folders.is_picture(name) else name


@cache
def class_list() -> ClassList:
    """The 21 of Pascal VOC; masks in colours have the colours of its palette."""
    classes = class_tables.voc21()
    return ClassList(classes, Coding(tuple(range(len(classes))), PALETTE[: len(classes)], PALETTE[255]))
