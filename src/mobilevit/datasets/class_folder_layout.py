"""The split of each folder of a dataset, by its name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mobilevit.datasets.finding import listed
from mobilevit.datasets.splitting import SPLIT_NAMES, split_named
from mobilevit.errors import DataError
from mobilevit.images import folders

OTHER_TASKS = frozenset({"annotations", "imagesets", "jpegimages", "images", "labels", "masks"})  # no class names


def looks_like_classes(root: Path) -> bool:
    """Whether images lie in folders inside `root`, and no folder there or in a split is named as for another task.

    Images and no folders look like classes that were forgotten.
    """
    try:
        outer = folders.sub_folders(root)
        inner = [folder for split in outer if split_of(split) for folder in folders.sub_folders(split)]
    except DataError:
        return False
    if any(folder.name.casefold() in OTHER_TASKS for folder in outer + inner):
        return False
    return any(folders.is_image(path) for folder in outer or [root] for path in folders.files_below(folder))


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of the splits by split; empty where `root` itself is the folder of classes.

    `train` beside names that are no split's is a class (a train among vehicles), unless folders lie inside it or
    another split lies beside it.
    DataError where two folders could be one split, where train is missing, or where a stranger lies beside train alone.
    """
    inside = folders.sub_folders(root)
    others = [folder for folder in inside if split_of(folder) is None]
    found = {split: [folder for folder in inside if split_of(folder) == split] for split in SPLIT_NAMES}
    is_alone = sum(map(bool, found.values())) <= 1
    if others and is_alone and not any(folders.sub_folders(train) for train in found["train"]):
        return {}
    for split, candidates in found.items():
        if len(candidates) > 1:
            raise DataError(f"{names(candidates)} in {root} could both be the {split} split: keep one of them")
    splits = {split: candidates[0] for split, candidates in found.items() if candidates}
    _check_splits(root, splits, others)
    return splits


def split_of(folder: Path) -> str | None:
    """The split that a folder's name stands for, if any."""
    return split_named(folder.name)


def names(found: Sequence[Path]) -> str:
    """The folders' names for a message."""
    return listed([f"'{folder.name}'" for folder in found])


def _check_splits(root: Path, splits: Mapping[str, Path], others: Sequence[Path]) -> None:
    if splits and "train" not in splits:
        held_out = list(splits.values())
        raise DataError(
            f"{root} has {names(held_out)}, but no train folder: add train/<class>/; "
            f"or, for evaluation only, give {held_out[0]} with `split=all`"
        )
    if len(splits) == 1 and others:
        raise DataError(
            f"{root} has train and {names(others)}, but no val: "
            "rename the folder of validation images to val or test, or move the others away to split val from train"
        )
