"""Masks in the folder of their images: `a.jpg` and `a_mask.png`, as Roboflow writes them, or `a.jpg` and `a.png`."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mobilevit.datasets import mask_look
from mobilevit.datasets.pairs import LOOKED_AT, MASK_ENDINGS, SAME_NAMES, Matched
from mobilevit.datasets.splitting import evenly, split_named
from mobilevit.images import folders


def recognizes(root: Path) -> bool:
    """Whether nearly all images have a mask beside them, which also looks like one."""
    found = list(matched_splits(root).values())
    pairs = [pair for part in found for pair in part.masks.items()]
    alone = sum(len(part.no_mask) for part in found)
    is_rare = alone <= (1 - SAME_NAMES) * (len(pairs) + alone)
    return bool(pairs) and is_rare and mask_look.are_pairs(evenly(pairs, LOOKED_AT))


def matched_splits(root: Path) -> dict[str | None, Matched]:
    """Images with their masks, by split; under None those directly in `root`."""
    places: dict[str | None, Path] = {split_named(folder.name): folder for folder in folders.sub_folders(root)}
    places = {split: folder for split, folder in places.items() if split is not None} or {None: root}
    found = {split: _matched(folder) for split, folder in places.items()}
    return {split: part for split, part in found.items() if part.masks}


def _matched(folder: Path) -> Matched:
    """By the first of MASK_ENDINGS with which there are any."""
    images = [path for path in folders.files_in(folder) if folders.is_image(path)]
    for ending in MASK_ENDINGS[1:]:
        found = dict(_with_ending(images, ending))
        if found:
            break
    else:
        found = dict(_of_one_name(images))
    used = set(found.values())
    return Matched(found, [path for path in images if path not in found and path not in used], ())


def _with_ending(images: list[Path], ending: str) -> Iterator[tuple[Path, Path]]:
    by_stem = {path.stem: path for path in images}
    return ((path, by_stem[path.stem + ending]) for path in images if path.stem + ending in by_stem)


def _of_one_name(images: list[Path]) -> Iterator[tuple[Path, Path]]:
    """A JPEG, and one file of another kind of its name."""
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for path in images:
        by_stem[path.stem].append(path)
    for paths in by_stem.values():
        is_jpeg = [path.suffix.lower() in (".jpg", ".jpeg") for path in paths]
        if sorted(is_jpeg) == [False, True]:
            yield paths[is_jpeg.index(True)], paths[is_jpeg.index(False)]
