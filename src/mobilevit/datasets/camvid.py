"""The layout of CamVid: `train/` beside `trainannot/`, and other layouts with a suffix for mask folders.

`train_images/` and `train_masks/`, `train/` and `train_labels/` are such; CVAT's export has `default/` and
`defaultannot/`.
"""

from collections.abc import Mapping
from pathlib import Path

from mobilevit.datasets import pairs
from mobilevit.datasets.pairs import Matched, Pair
from mobilevit.datasets.splitting import split_named
from mobilevit.images import folders

MASK_ENDINGS = ("annot", "annots", "annotation", "annotations", "mask", "masks", "label", "labels", "gt")
IMAGE_ENDINGS = ("", "image", "images", "img", "imgs")
BETWEEN = "_- ."  # that may stand before the ending


def recognizes(root: Path) -> bool:
    return bool(folder_pairs(root))


def matched_splits(root: Path) -> dict[str | None, Matched]:
    """Images with their masks, by split; under None those of a pair that is named after none."""
    return {split: pairs.matched(pair) for split, pair in folder_pairs(root).items()}


def folder_pairs(root: Path) -> Mapping[str | None, Pair]:
    """The folders of each split. Empty where the files have other names, as boxes beside images have."""
    by_kind: dict[tuple[str, bool], Path] = {}
    for folder in folders.sub_folders(root):
        for stem, is_mask in _readings(folder.name.casefold()):
            by_kind.setdefault((stem, is_mask), folder)
    found = {
        stem: Pair(images, by_kind[stem, True])
        for (stem, is_mask), images in by_kind.items()
        if not is_mask and (stem, True) in by_kind and by_kind[stem, True] != images
    }
    fitting = {stem: pair for stem, pair in found.items() if pairs.have_same_names(pair)}
    named: dict[str | None, Pair] = {
        split: pair for stem, pair in fitting.items() if (split := split_named(stem)) is not None
    }
    others = [pair for pair in fitting.values() if pairs.look_right(pair)] if not named else []
    return named or ({None: others[0]} if len(others) == 1 else {})


def _readings(name: str) -> list[tuple[str, bool]]:
    """What a folder's name may mean: the word before its ending, and whether the ending says that it holds masks."""
    return [
        (stem, is_mask)
        for endings, is_mask in ((MASK_ENDINGS, True), (IMAGE_ENDINGS, False))
        for ending in endings
        if name.endswith(ending) and (stem := name.removesuffix(ending).rstrip(BETWEEN))
    ]
