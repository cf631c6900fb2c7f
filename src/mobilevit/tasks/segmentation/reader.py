"""Reads pictures with masks: `images` beside `masks`, with or without splits, and the layout of Pascal VOC.

Opens no picture, and masks only where nothing else says what their classes are. The layouts and the rules are told to
users in docs/data.md.
"""

from collections.abc import Mapping
from pathlib import Path

from mobilevit.data import folders
from mobilevit.data.finding import Finding, counted, inside, listed
from mobilevit.data.sample import Dataset, Sample
from mobilevit.data.splitting import SPLIT_NAMES, split_by_seed
from mobilevit.errors import DataError
from mobilevit.tasks.base import ReadOptions
from mobilevit.tasks.segmentation import class_list, voc
from mobilevit.tasks.segmentation.class_list import ClassList
from mobilevit.tasks.segmentation.layout import Matched, folder_pairs, matched
from mobilevit.tasks.segmentation.target import Mask

TASK = "segmentation"


def recognises(root: Path) -> bool:
    """Whether `root` has pictures and masks in a layout that is known here."""
    try:
        return bool(voc.recognises(root) or folder_pairs(root))
    except DataError:
        return False


def read(root: Path, options: ReadOptions) -> Dataset:
    """The pictures under `root` that have masks, as a data set whose targets are `Mask`s.

    Without a val split, test stands in for it; without either, `options.val_fraction` of the pictures become val.
    DataError where the folder is missing, empty or no such data set.
    """
    root = folders.require_folder(root)
    found = voc.matched(root) if voc.recognises(root) else _matched(root)
    notes = [note for split, part in found.items() for note in _unmatched(root, split, part)]
    parts = {split: part.masks for split, part in found.items() if part.masks}
    if not parts:
        raise DataError(f"no picture of {root} has a mask of its name. {listed([note.message for note in notes])}")
    splits = _with_val(root, parts, options)
    listing = _classes(root, splits["train"])
    origin = _origin(parts, len(splits["val"]))
    samples = {
        split: tuple(Sample(picture, Mask(mask, picture, listing.coding)) for picture, mask in splits[split].items())
        for split in SPLIT_NAMES
        if split in splits
    }
    return Dataset(root, TASK, listing.classes, samples, (*notes, *origin, *listing.notes), _files(root))


Masks = Mapping[Path, Path]  # of each picture


def _matched(root: Path) -> dict[str | None, Matched]:
    pairs = folder_pairs(root)
    if not pairs:
        raise DataError(
            f"{root} has no folders of pictures and masks: expected images/ and masks/ in {root}, in its train/ and "
            "val/, or each with train/ and val/ inside; or JPEGImages/ and SegmentationClass/"
        )
    return {split: matched(pair) for split, pair in pairs.items()}


def _unmatched(root: Path, split: str | None, part: Matched) -> list[Finding]:
    """Pictures and masks that are left out because the other is missing."""
    where = f" in {split}" if split else ""
    kinds = (("without-mask", "picture", "mask", part.no_mask), ("without-picture", "mask", "picture", part.no_picture))
    return [
        Finding(
            "warning",
            kind,
            f"{counted(len(paths), noun)}{where} without a {other} of the same name, left out: "
            f"{listed([inside(root, path) for path in paths], 3)}",
            tuple(paths),
        )
        for kind, noun, other, paths in kinds
        if paths
    ]


def _with_val(root: Path, parts: Mapping[str | None, Masks], options: ReadOptions) -> dict[str, Masks]:
    """The parts by split, with one for val; DataError where none is for training."""
    splits = {split or "train": masks for split, masks in parts.items()}
    if "train" not in splits:
        held_out = listed(splits)
        raise DataError(
            f"{root} has {held_out} and nothing for training; to evaluate alone, give the folder of a split"
        )
    if "val" in splits:
        return splits
    if "test" in splits:
        return {"train": splits["train"], "val": splits["test"]}
    masks = splits["train"]
    train, val = split_by_seed({"": list(masks)}, root, fraction=options.val_fraction, seed=options.split_seed)
    if not val[""]:
        raise DataError(f"{root} has one picture with a mask: none can be spared for val; add pictures")
    return {"train": {path: masks[path] for path in train[""]}, "val": {path: masks[path] for path in val[""]}}


def _origin(parts: Mapping[str | None, Masks], val_count: int) -> list[Finding]:
    """Says where val comes from, unless it is the data set's own."""
    if "val" in parts:
        return []
    if "test" in parts:
        message = "no val split: test stands in for it, so a score that chose the best epoch is too good"
    else:
        message = f"no val split: it is {counted(val_count, 'picture')}, set apart by names and seed"
    return [Finding("info", "split", message)]


def _classes(root: Path, train: Masks) -> ClassList:
    file = root / class_list.FILE
    if file.is_file():
        return class_list.from_file(file)
    return voc.class_list() if voc.recognises(root) else class_list.from_masks(root, list(train.values()))


def _files(root: Path) -> tuple[Path, ...]:
    """What was read beside pictures and masks."""
    names = root / class_list.FILE
    return (*([names] if names.is_file() else ()), *voc.lists(root).values())
