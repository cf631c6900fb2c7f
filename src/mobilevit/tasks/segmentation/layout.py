"""Where pictures and masks lie, by name alone."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.data import folders
from mobilevit.data.finding import listed
from mobilevit.data.splitting import split_named
from mobilevit.errors import DataError

PICTURES, MASKS = ("images", "image", "imgs"), ("masks", "mask")
MASK_ENDING = "_mask"  # that the name of a mask may have beyond its picture's


@dataclass(frozen=True)
class Pair:
    """The folder of the pictures of a split, and that of their masks."""

    pictures: Path
    masks: Path


@dataclass(frozen=True)
class Matched:
    """Which mask belongs to which picture."""

    masks: Mapping[Path, Path]  # by picture, in the order of names
    no_mask: Sequence[Path]  # pictures
    no_picture: Sequence[Path]  # masks


def recognises(root: Path) -> bool:
    return bool(folder_pairs(root))


def matched_splits(root: Path) -> dict[str | None, Matched]:
    """Pictures with their masks, by split; under None those of a root that has no splits."""
    return {split: matched(pair) for split, pair in folder_pairs(root).items()}


def folder_pairs(root: Path) -> dict[str | None, Pair]:
    """The folders of each split; under None those of a root that has no splits. Empty where the layout is another."""
    whole = _pair(root)
    if whole is None:
        inner = {split_named(folder.name): _pair(folder) for folder in folders.sub_folders(root)}
        return {split: pair for split, pair in inner.items() if split is not None and pair is not None}
    pictures, masks = (_splits(folder) for folder in (whole.pictures, whole.masks))
    both: dict[str | None, Pair] = {split: Pair(pictures[split], masks[split]) for split in pictures if split in masks}
    return both if both else {None: whole}


def _pair(folder: Path) -> Pair | None:
    """`images` and `masks` directly inside."""
    inside = {inner.name.casefold(): inner for inner in folders.sub_folders(folder)}
    pictures = [inside[name] for name in PICTURES if name in inside]
    masks = [inside[name] for name in MASKS if name in inside]
    if len(pictures) > 1 or len(masks) > 1:
        raise DataError(f"{folder} has {listed([*pictures, *masks])}: keep one folder of pictures and one of masks")
    return Pair(pictures[0], masks[0]) if pictures and masks else None


def _splits(folder: Path) -> dict[str, Path]:
    return {split: inner for inner in folders.sub_folders(folder) if (split := split_named(inner.name)) is not None}


def matched(pair: Pair) -> Matched:
    """Pictures with masks of the same name, the suffix apart, or of that name and "_mask"; folders inside count."""
    masks = _by_name(pair.masks)
    found: dict[Path, Path] = {}
    no_mask = []
    for picture in folders.pictures_below(pair.pictures):
        name = _name(picture, pair.pictures)
        mask = masks.get(name) or masks.get(name + MASK_ENDING)
        if mask is None:
            no_mask.append(picture)
        else:
            found[picture] = mask
    used = set(found.values())
    return Matched(found, no_mask, [mask for mask in masks.values() if mask not in used])


def _by_name(folder: Path) -> dict[str, Path]:
    """The masks by name; DataError where two have the same."""
    masks: dict[str, Path] = {}
    for mask in folders.pictures_below(folder):
        name = _name(mask, folder)
        if name in masks:
            raise DataError(f"{masks[name]} and {mask} could both be the mask of a picture: keep one")
        masks[name] = mask
    return masks


def _name(path: Path, folder: Path) -> str:
    """The path below `folder` without its suffix, in one Unicode form: macOS and Linux write letters differently."""
    return unicodedata.normalize("NFC", str(path.relative_to(folder).with_suffix("")))
