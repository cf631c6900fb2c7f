"""Folders of images beside folders of masks with the same names, and their pairing.

Names of folders decide where they say enough. Where they do not, a few files are opened: two folders of images with the
same names may as well be two classes.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from mobilevit.datasets import mask_look
from mobilevit.datasets.finding import listed
from mobilevit.datasets.splitting import evenly, split_named
from mobilevit.errors import DataError
from mobilevit.images import folders

IMAGES, MASKS = ("images", "image", "imgs"), ("masks", "mask")
IMAGE_WORDS, MASK_WORDS = ("image", "img", "photo", "picture"), ("mask", "label", "annot", "segment", "gt")
MASK_ENDINGS = ("", "_mask", "_label", "_labels", "_seg", "_gt", "_L", "_P")  # of a mask's name beyond its image's
SAME_NAMES = 0.9  # of the images and of the masks that have a partner, where nothing but names says that they are pairs
LOOKED_AT = 5  # pairs that are opened


@dataclass(frozen=True)
class Pair:
    """The folder of the images of a split, and that of their masks."""

    images: Path
    masks: Path


@dataclass(frozen=True)
class Matched:
    """Which mask belongs to which image."""

    masks: Mapping[Path, Path]  # by image, in the order of names
    no_mask: Sequence[Path]  # images
    no_image: Sequence[Path]  # masks


def are_named(root: Path) -> bool:
    """Whether there are `images` and `masks`, here or in splits."""
    inner = (folder for folder in folders.sub_folders(root) if split_named(folder.name) is not None)
    for folder in (root, *inner):
        names = {found.name.casefold() for found in folders.sub_folders(folder)}
        if not names.isdisjoint(IMAGES) and not names.isdisjoint(MASKS):
            return True
    return False


def recognizes(root: Path) -> bool:
    """Whether there are folders that are such by their names, or by what they hold.

    Also where two folders could be the masks: `matched_splits` then says so."""
    try:
        return bool(folder_pairs(root))
    except AmbiguousError:
        return True


class AmbiguousError(DataError):
    """Images and masks are there, and more than one folder could be either."""


def matched_splits(root: Path) -> dict[str | None, Matched]:
    """Images with their masks, by split; under None those of a root that has no splits."""
    return {split: matched(pair) for split, pair in folder_pairs(root).items()}


def folder_pairs(root: Path) -> dict[str | None, Pair]:
    """The folders of each split; under None those of a root that has no splits. Empty where the layout is another."""
    whole = _pair(root)
    if whole is None:
        inner = {split_named(folder.name): _pair(folder) for folder in folders.sub_folders(root)}
        return {split: pair for split, pair in inner.items() if split is not None and pair is not None}
    images, masks = (_splits(folder) for folder in (whole.images, whole.masks))
    both: dict[str | None, Pair] = {split: Pair(images[split], masks[split]) for split in images if split in masks}
    return both if both else {None: whole}


def _pair(folder: Path) -> Pair | None:
    """`images` and `masks` directly inside, or two that are such by their names and what they hold."""
    inside = {inner.name.casefold(): inner for inner in folders.sub_folders(folder)}
    images = [inside[name] for name in IMAGES if name in inside]
    masks = [inside[name] for name in MASKS if name in inside]
    if images and masks and len(images) + len(masks) > 2:
        raise AmbiguousError(f"{folder} has {listed([*images, *masks])}: keep one folder of images and one of masks")
    if images and masks:
        return Pair(images[0], masks[0])
    found = _by_look(list(inside.values()))
    if len(found) > 1:
        raise AmbiguousError(
            f"{folder} has masks in {listed([pair.masks for pair in found])}: keep one, or rename it to masks"
        )
    return found[0] if found else None


def _splits(folder: Path) -> dict[str, Path]:
    return {split: inner for inner in folders.sub_folders(folder) if (split := split_named(inner.name)) is not None}


def _by_look(inside: Sequence[Path]) -> list[Pair]:
    """Pairs whose files have the same names and look like images and masks.

    Of more than two folders, one must be called something like images, and the other something like masks.
    """
    holding = [folder for folder in inside if split_named(folder.name) is None and _holds_images(folder)]
    called = [
        Pair(images, masks)
        for images, masks in permutations(holding, 2)
        if is_called(images, IMAGE_WORDS) and is_called(masks, MASK_WORDS)
    ]
    others = [Pair(images, masks) for images, masks in permutations(holding, 2)] if len(holding) == 2 else []
    return [pair for pair in called or others if have_same_names(pair) and look_right(pair)]


def _holds_images(folder: Path) -> bool:
    return any(folders.is_image(path) for path in folders.files_below(folder))


def is_called(folder: Path, words: Sequence[str]) -> bool:
    """Whether its name has one of the words, and "imagelabels" is no folder of images."""
    name = folder.name.casefold()
    is_mask = any(word in name for word in MASK_WORDS)
    return any(word in name for word in words) and is_mask == (words is not IMAGE_WORDS)


def have_same_names(pair: Pair) -> bool:
    """Whether nearly all images have a mask, and the other way round."""
    found = matched(pair, strict=False)
    alone = len(found.no_mask) + len(found.no_image)
    return len(found.masks) > 0 and alone <= (1 - SAME_NAMES) * 2 * (len(found.masks) + alone)


def look_right(pair: Pair) -> bool:
    """Whether, of a few pairs, each mask looks like one of its image."""
    return mask_look.are_pairs(evenly(list(matched(pair, strict=False).masks.items()), LOOKED_AT))


def matched(pair: Pair, *, strict: bool = True) -> Matched:
    """Images with masks of the same name, the suffix apart, or with one of MASK_ENDINGS; folders inside count.

    DataError where two masks have the same name, unless it is not `strict`.
    """
    masks = _by_name(pair.masks, strict=strict)
    found: dict[Path, Path] = {}
    no_mask = []
    for image in folders.images_below(pair.images):
        name = _name(image, pair.images)
        mask = next((masks[name + ending] for ending in MASK_ENDINGS if name + ending in masks), None)
        if mask is None:
            no_mask.append(image)
        else:
            found[image] = mask
    used = set(found.values())
    return Matched(found, no_mask, [mask for mask in masks.values() if mask not in used])


def _by_name(folder: Path, *, strict: bool) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for mask in folders.images_below(folder):
        name = _name(mask, folder)
        if strict and name in masks:
            raise DataError(f"{masks[name]} and {mask} could both be the mask of an image: keep one")
        masks[name] = mask
    return masks


def _name(path: Path, folder: Path) -> str:
    """The path below `folder` without its suffix, in one Unicode form: macOS and Linux write letters differently."""
    return unicodedata.normalize("NFC", str(path.relative_to(folder).with_suffix("")))
