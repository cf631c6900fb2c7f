"""Detects annotations or masks beside images, in any format: folders with them are not class folders.

The last look before a dataset is taken for folders of classes; what a reader knows never comes here.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from pathlib import Path

from mobilevit.datasets import mask_look, pairs, strangers
from mobilevit.datasets.finding import inside
from mobilevit.datasets.listing import Listing
from mobilevit.datasets.splitting import evenly, split_named
from mobilevit.datasets.text_files import head, quoted
from mobilevit.images import folders

SUFFIXES = (".txt", ".json", ".xml")  # of annotations, one file an image
NEARLY_ALL = 0.8  # of the images, and of the files
LISTS = (".csv", ".json", ".jsonl", ".ndjson", ".xml", ".txt", ".tsv")  # of files that may speak of all the images
LIST_BYTES = 2**16  # of the beginning of one, in which FEW_NAMED of the images are looked for, at most NAMED of them
FEW_NAMED, NAMED, FILES = 3, 10_000, 20
NAME = re.compile(r"[^\s/\\\"',;:<>?&=]+")  # of an image in any of them
SEPARATORS = "_-."  # before what the name of a mask has beyond its image's
MOST_FOLDERS = 16  # beside one another, above which none is taken for masks: classes of numbered images are many
LOOKED_AT = 5  # pairs of image and mask that are opened
HEAD_BYTES = 400
WORDS = (pairs.IMAGE_WORDS, pairs.MASK_WORDS[:1])  # of folders that are images and masks by their names alone


def lying(listing: Listing) -> str | None:
    """Whatever lies there in place of what was looked for, for people."""
    return strangers.found(listing) or annotations(listing) or list_of_images(listing) or masks(listing)


def annotations(listing: Listing) -> str | None:
    """What lies beside nearly every image, for people: "a .json file (a.json) for nearly every image, ..."."""
    for suffix in SUFFIXES:
        files = listing.below(listing.root, suffix)
        if not listing.images or len(files) < NEARLY_ALL * len(listing.images):
            continue
        stems, named = set(map(_stem, listing.images)), set(map(_stem, files))
        files = [path for path in files if _stem(path) in stems]
        count = sum(_stem(path) in named for path in listing.images)
        if min(count, len(files)) >= NEARLY_ALL * len(listing.images):
            first = quoted(head(files[0], HEAD_BYTES).decode("utf-8", "replace").strip())
            example = inside(listing.root, files[0])
            return f"a {suffix} file of the name of nearly every image ({example}, which begins {first!r})"
    return None


def list_of_images(listing: Listing) -> str | None:
    """The file that names the images, where one does, for people: "a file that names the images (a.csv, ...)"."""
    images = {os.path.basename(path) for path in evenly(listing.images, NAMED)}  # noqa: PTH119
    stems = set(map(_stem, images))
    for path in [path for path in listing.below(listing.root, *LISTS) if _stem(path) not in stems][:FILES]:
        text = head(path, LIST_BYTES).decode("utf-8", "replace")
        if images and len(images & set(NAME.findall(text))) >= min(len(images), FEW_NAMED):
            begins = quoted(" ".join(text[:HEAD_BYTES].split()))
            return f"a file that names the images ({inside(listing.root, path)}, which begins {begins!r})"
    return None


def masks(listing: Listing) -> str | None:
    """Which files are masks of nearly all the other images, by their names and their looks, for people."""
    splits = [path for path in folders.sub_folders(listing.root) if split_named(path.name)]
    for place in (listing.root, *splits):
        if found := _masks_in(listing, place) or _masks_inside(listing, place):
            return found
    return None


def _masks_inside(listing: Listing, place: Path) -> str | None:
    """Those in each folder of a place, which is then a project or a patient with images and masks of its own."""
    looked = evenly([folder for folder in folders.sub_folders(place) if folders.sub_folders(folder)], LOOKED_AT)
    found = [_masks_in(listing, folder) or _called_masks(listing, folder) for folder in looked]
    return found[0] if all(found) and found else None


def _called_masks(listing: Listing, place: Path) -> str | None:
    """By the names of its folders alone: many masks of one image have names of their own."""
    inside_it = [folder for folder in folders.sub_folders(place) if next(folders.files_below(folder), None)]
    images, masks = ([one for one in inside_it if pairs.is_called(one, words)] for words in WORDS)
    if len(images) != 1 or len(masks) != 1:
        return None
    return f"folders of masks beside images ({inside(listing.root, masks[0])})"


def _masks_in(listing: Listing, place: Path) -> str | None:
    """Those directly in a place, or in folders of it."""
    for images, others in _candidates(_groups(listing, place)):
        found = _pairs(images, others)
        if len({path for pair in found for path in pair}) < NEARLY_ALL * len({*images, *others}):
            continue
        shown = [(Path(image), Path(mask)) for mask, image in evenly(found, LOOKED_AT)]
        if mask_look.are_pairs(shown):
            image, mask = (inside(listing.root, path) for path in shown[0])
            return f"masks of the images ({mask} of {image})"
    return None


def _stem(path: Path | str) -> str:
    """The name without the suffix, case aside; of "a.jpg.json" as of "a.json"."""
    name = os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122 (a tenth of the time)
    return (os.path.splitext(name)[0] if folders.is_image(name) else name).casefold()  # noqa: PTH122


def _groups(listing: Listing, place: Path) -> list[Sequence[str]]:
    """The images directly in a place, and those in each folder of it, however deep."""
    found: dict[str, list[str]] = {}
    start = os.path.join(place, "") if place != Path() else ""  # noqa: PTH118
    for path in listing.images:
        if path.startswith(start):
            folder, separator, _ = path[len(start) :].partition(os.sep)
            found.setdefault(folder if separator else "", []).append(path)
    return list(found.values())


def _candidates(groups: Sequence[Sequence[str]]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Images and masks in two folders, or in one."""
    if len(groups) <= MOST_FOLDERS:
        yield from permutations(groups, 2)
    yield from ((group, group) for group in groups)


def _pairs(images: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]]:
    """Each of the others with the image whose name it has, or whose name and more."""
    ending = _common_ending(images)
    by_name = {_stem(path).removesuffix(ending): path for path in images}
    named = ((other, _longest(by_name, _stem(other), other)) for other in others)
    return [(other, image) for other, image in named if image is not None]


def _longest(by_name: Mapping[str, str], stem: str, other: str) -> str | None:
    """The image of the longest name that `stem` is or begins with."""
    cuts = [len(stem), *(place for place in range(len(stem) - 1, 0, -1) if stem[place] in SEPARATORS)]
    return next((by_name[stem[:cut]] for cut in cuts if by_name.get(stem[:cut], other) != other), None)


def _common_ending(images: Sequence[str]) -> str:
    """What all names have after a separator: "_leftimg8bit"."""
    stems = list(map(_stem, images))
    cuts = [place for place, character in enumerate(stems[0]) if character in SEPARATORS]
    endings = (stems[0][cut:] for cut in cuts) if len(stems) > 1 else iter(())
    return next((ending for ending in endings if all(stem.endswith(ending) for stem in stems)), "")
