"""Reads images with masks in every layout that FORMATS names. docs/data.md tells users the layouts and the rules.

Opens no image, and masks only where nothing else says what they are, or what their classes are.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilevit.data import folders
from mobilevit.data.finding import Finding, counted, inside, listed
from mobilevit.data.sample import Dataset, Sample
from mobilevit.data.splitting import SPLIT_NAMES, split_by_seed
from mobilevit.datasets import beside, camvid, class_files, pairs
from mobilevit.datasets.pairs import Matched
from mobilevit.errors import DataError, unknown
from mobilevit.tasks.base import ReadOptions
from mobilevit.tasks.segmentation import class_list, voc
from mobilevit.tasks.segmentation.class_list import ClassList
from mobilevit.tasks.segmentation.target import Mask

TASK = "segmentation"
Masks = Mapping[Path, Path]  # of each picture


@dataclass(frozen=True)
class Format:
    """One way to lay out images and masks."""

    fits: Callable[[Path], bool]
    matched: Callable[[Path], Mapping[str | None, Matched]]  # by split; under None what is still to be split
    layout: str  # for people
    lists: Callable[[Path], Iterable[Path]] = lambda _: ()  # files beside them that belong to the layout
    classes: Callable[[Path, list[Path]], ClassList] = class_list.from_masks  # where no file names them
    is_sure: bool = True  # of others, the first that fits counts, and only where none of the sure ones does


FORMATS = {
    "masks": Format(
        pairs.are_named,
        pairs.matched_splits,
        "images/ and masks/ in it, in its train/ and val/, or each with train/ and val/ inside",
    ),
    "voc": Format(
        voc.recognises,
        voc.matched,
        "JPEGImages/ and SegmentationClass/",
        lambda root: (*voc.lists(root).values(), *voc.companions(root)),
        class_list.of_voc,
    ),
    "camvid": Format(
        camvid.recognises, camvid.matched_splits, "train/ and trainannot/, val/ and valannot/", is_sure=False
    ),
    "folders": Format(
        pairs.recognises, pairs.matched_splits, "two folders of files with the same names", is_sure=False
    ),
    "beside": Format(
        beside.recognises, beside.matched_splits, "a.jpg and a_mask.png in train/ and val/", is_sure=False
    ),
}


def recognises(root: Path) -> bool:
    """Whether `root` has pictures and masks in a layout that is known here."""
    try:
        return any(known.fits(root) for known in FORMATS.values())
    except DataError:
        return False


def read(root: Path, options: ReadOptions) -> Dataset:
    """The pictures under `root` that have masks, as a data set whose targets are `Mask`s.

    Without a val split, test stands in for it; without either, `options.val_fraction` of the pictures become val. A
    data set of held-out pictures alone can be evaluated, and its notes say that it cannot be trained on. DataError
    where the folder is missing, empty or no such data set.
    """
    root = folders.require_folder(root)
    known = FORMATS[_format_of(root, options.data_format)]
    found = known.matched(root)
    notes = [note for split, part in found.items() for note in _unmatched(root, split, part)]
    parts = {split: part.masks for split, part in found.items() if part.masks}
    if not parts:
        raise DataError(f"no picture of {root} has a mask of its name. {listed([note.message for note in notes])}")
    splits, origin = _splits(root, parts, options)
    names = class_files.find(root)
    every = [mask for masks in parts.values() for mask in masks.values()]
    listing = class_list.from_file(names) if names else known.classes(root, every)
    samples = {
        split: tuple(Sample(picture, Mask(mask, picture, listing.coding)) for picture, mask in splits[split].items())
        for split in SPLIT_NAMES
        if split in splits
    }
    files = (*([names] if names else ()), *known.lists(root))
    return Dataset(root, TASK, listing.classes, samples, (*notes, *origin, *listing.notes), files)


def _format_of(root: Path, name: str | None) -> str:
    """The format by its name, or the one that fits; DataError where none does, or several that are sure."""
    if name is not None:
        if name not in FORMATS:
            raise unknown("--data-format", name, FORMATS)
        return name
    fitting = [name for name, known in FORMATS.items() if known.fits(root)]
    if not fitting:
        layouts = "; ".join(f"{known.layout} ({name})" for name, known in FORMATS.items())
        raise DataError(f"{root} has no folders of images and masks: expected {layouts}")
    sure = [name for name in fitting if FORMATS[name].is_sure]
    if len(sure) > 1:
        choice = " and ".join(f"--data-format {name}" for name in sure)
        raise DataError(f"{root} could be read in different formats: choose between {choice}")
    return (sure or fitting)[0]


def _unmatched(root: Path, split: str | None, part: Matched) -> list[Finding]:
    """Pictures and masks that are left out because the other is missing."""
    where = f" in {split}" if split else ""
    kinds = (("without-mask", "picture", "mask", part.no_mask), ("without-picture", "mask", "picture", part.no_image))
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


def _splits(
    root: Path, parts: Mapping[str | None, Masks], options: ReadOptions
) -> tuple[Mapping[str, Masks], list[Finding]]:
    """ "train", "val" and perhaps "test", with a word on where they come from."""
    named = {split: masks for split, masks in parts.items() if split is not None}
    if None in parts:
        return _apart(root, parts[None], named, options)
    if "train" not in named:
        note = Finding("error", "no-train", "no training pictures: the data set can be evaluated, not trained on")
        return {"train": {}, **({} if "val" in named else {"val": named["test"]}), **named}, [note]
    if "val" in named:
        return named, []
    if "test" not in named:
        return _apart(root, named["train"], named, options)
    message = "no val split: test stands in for it, so a score that chose the best epoch is too good"
    return {"train": named["train"], "val": named["test"]}, [Finding("info", "split", message)]


def _apart(
    root: Path, masks: Masks, named: Mapping[str, Masks], options: ReadOptions
) -> tuple[Mapping[str, Masks], list[Finding]]:
    """Training and val pictures out of those of `masks`, beside what was found."""
    chosen = split_by_seed({"": list(masks)}, root, fraction=options.val_fraction, seed=options.split_seed)
    train, val = ({path: masks[path] for path in part[""]} for part in chosen)
    if not val:
        raise DataError(f"{root} has one picture with a mask: none can be spared for val; add pictures")
    message = f"no val split: it is {counted(len(val), 'picture')}, set apart by names and seed"
    return {**named, "train": train, "val": val}, [Finding("info", "split", message)]
