"""Reads pictures in class folders: `train/<class>/*` with `val/<class>/*`, or one folder of classes.

Knows names alone and opens no picture. The layouts and the rules are told to users in docs/data.md.
"""

import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from mobilevit.data import folders
from mobilevit.data.sample import Dataset, Sample
from mobilevit.errors import DataError, UsageError
from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import ReadOptions

TASK = "classification"
SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
OTHER_LAYOUTS = frozenset({"annotations", "imagesets", "jpegimages", "images", "labels", "masks"})  # no class names
WNID = re.compile(r"n\d{8}")

Pictures = dict[str, list[Path]]  # of each class, by its id


def recognises(root: Path) -> bool:
    """Whether `root` looks like class folders, right or with a mistake that `read` would explain."""
    try:
        train = split_folders(root).get("train", root)
        class_folders = folders.sub_folders(train)
    except DataError:
        return False
    if any(folder.name.casefold() in OTHER_LAYOUTS for folder in class_folders):
        return False
    return any(folders.is_picture(path) for folder in class_folders for path in folders.files_below(folder))


def read(root: Path, options: ReadOptions) -> Dataset:
    """The pictures under `root` as a data set whose targets are indices into the sorted classes.

    Without a val folder, test stands in for it; without either, `options.val_fraction` of every class becomes val.
    Raises DataError where the folder is missing, empty or no set of class folders, and where splits disagree.
    """
    root = folders.require_folder(root)
    found = split_folders(root)
    train = _read_training(found.get("train", root))
    parts = {split: _read_held_out(split, folder, train) for split, folder in found.items() if split != "train"}
    if not parts:
        train, parts["val"] = split_by_seed(train, found.get("train", root), options)
    elif "val" not in parts:
        parts["val"] = parts.pop("test")
    ids = sorted(train)
    splits = {name: _samples(parts[name], ids) for name in ("val", "test") if name in parts}
    return Dataset(root, TASK, name_classes(ids), {"train": _samples(train, ids), **splits})


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of the splits by split; empty where `root` itself is the folder of classes.

    `train` beside names that are no split is a class (a train among vehicles), unless folders lie inside it.
    """
    inside = folders.sub_folders(root)
    found: dict[str, list[Path]] = {split: [] for split in SPLIT_NAMES}
    others = [folder for folder in inside if not _split_of(folder)]
    for folder in inside:
        if split := _split_of(folder):
            found[split].append(folder)
    if others and not any(folders.sub_folders(train) for train in found["train"]):
        return {}
    for split, candidates in found.items():
        if len(candidates) > 1:
            raise DataError(f"{_and(candidates)} could both be the {split} split: keep one of them in {root}")
    splits = {split: candidates[0] for split, candidates in found.items() if candidates}
    _check_splits(root, splits, others)
    return splits


def split_by_seed(pictures: Pictures, folder: Path, options: ReadOptions) -> tuple[Pictures, Pictures]:
    """Training and val pictures of every class: a function of names and seed alone.

    A picture's rank is the hash of the seed and its path inside `folder`, so neither the order of files nor where the
    folder lies matters. Each class keeps at least one picture for training, and has one in val where it has two.
    """
    if not 0 < options.val_fraction < 1:
        raise UsageError(f"val_fraction {options.val_fraction} is outside its range: between 0 and 1")
    train: Pictures = {}
    val: Pictures = {}
    for name, paths in pictures.items():
        ranks = {path: _rank(options.split_seed, path.relative_to(folder)) for path in paths}
        count = min(len(paths) - 1, max(1, int(len(paths) * options.val_fraction + 0.5)))
        chosen = set(sorted(paths, key=ranks.__getitem__)[:count])
        train[name] = [path for path in paths if path not in chosen]
        val[name] = [path for path in paths if path in chosen]
    return train, val


def name_classes(ids: Sequence[str]) -> tuple[ClassLabel, ...]:
    """Classes in the order of `ids`; ImageNet's wnids get the names that people read."""
    if not any(WNID.fullmatch(identity) for identity in ids):
        return tuple(ClassLabel(identity, identity) for identity in ids)
    from mobilevit import class_tables

    names = {label.id: label.name for label in class_tables.imagenet1k()}
    return tuple(ClassLabel(identity, names.get(identity, identity)) for identity in ids)


def _split_of(folder: Path) -> str | None:
    name = folder.name.casefold()
    return next((split for split, names in SPLIT_NAMES.items() if name in names), None)


def _check_splits(root: Path, splits: Mapping[str, Path], others: Sequence[Path]) -> None:
    if splits and "train" not in splits:
        raise DataError(f"{root} has {_and(list(splits.values()))} and no train folder beside it: add train/<class>/")
    if len(splits) == 1 and others:
        raise DataError(
            f"{root} has train, no val, and {_and(others)}, which is no split's name: "
            "rename it to val or test, or move it away to have val split from train"
        )


def _read_training(folder: Path) -> Pictures:
    """Pictures of each class, none empty; at least two classes."""
    pictures = _read_classes(folder)
    empty = [name for name, paths in pictures.items() if not paths]
    if not any(pictures.values()):
        raise DataError(f"{folder} has no pictures in its class folders ({_some(empty)}){_other_kinds(folder)}")
    if empty:
        raise DataError(
            f"class folders without a picture in {folder}: {_some(empty)}{_other_kinds(*(folder / n for n in empty))}; "
            "fill or remove them"
        )
    if len(pictures) == 1:
        raise DataError(f"{folder} has one class, '{next(iter(pictures))}': telling classes apart needs two or more")
    return pictures


def _read_held_out(split: str, folder: Path, train: Pictures) -> Pictures:
    """Pictures of a split whose classes must be among those of training."""
    pictures = _read_classes(folder)
    strange = sorted(pictures.keys() - train.keys())
    if strange:
        raise DataError(
            f"{split} has classes that train does not have: {_some([_with_nearest(name, train) for name in strange])}"
            f"; train has and {split} does not: {_some(sorted(train.keys() - pictures.keys())) or 'none'}"
        )
    if not any(pictures.values()):
        raise DataError(f"{folder} holds no picture: fill it, or remove it to have val split from train")
    return pictures


def _read_classes(folder: Path) -> Pictures:
    class_folders = folders.sub_folders(folder)
    if not class_folders:
        raise DataError(_no_class_folders(folder))
    nested = [
        inner for inner in class_folders if any(_split_of(below) == "train" for below in folders.sub_folders(inner))
    ]
    if nested:
        raise DataError(f"{folder} holds whole data sets, no class folders: give one of them, such as {nested[0]}")
    pictures: Pictures = {}
    for inner in class_folders:
        identity = _identity(inner)
        if identity in pictures:
            raise DataError(
                f"{folder} has two class folders that read '{identity}' (two spellings in Unicode): join them"
            )
        pictures[identity] = folders.pictures_below(inner)
    return pictures


def _no_class_folders(folder: Path) -> str:
    count = sum(map(folders.is_picture, folders.files_in(folder)))
    layout = f"put them into one folder a class: {folder}/<class>/*.jpg"
    if count:
        return f"{folder} has no class folders: {count:,} pictures lie directly in it; {layout}"
    return f"{folder} has no class folders and no pictures; expected {folder}/<class>/*.jpg"


def _identity(folder: Path) -> str:
    """The folder's name in one Unicode form: macOS and Linux write the same letters differently."""
    return unicodedata.normalize("NFC", os.fsencode(folder.name).decode("utf-8", "replace"))


def _rank(seed: int, inside: Path) -> bytes:
    text = f"{seed}\0{unicodedata.normalize('NFC', inside.as_posix())}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _samples(pictures: Pictures, ids: Sequence[str]) -> tuple[Sample, ...]:
    return tuple(Sample(path, index) for index, name in enumerate(ids) for path in pictures.get(name, ()))


def _other_kinds(*below: Path) -> str:
    """What lies there instead of pictures, by suffix: " (3 files of other kinds: .heic)"."""
    suffixes = [path.suffix.lower() or "no suffix" for folder in below for path in folders.files_below(folder)]
    return f" ({len(suffixes):,} files of other kinds: {_some(sorted(set(suffixes)))})" if suffixes else ""


def _with_nearest(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name.casefold(), [identity.casefold() for identity in known], n=1, cutoff=0.8)
    match = next((identity for identity in known if near and identity.casefold() == near[0]), None)
    return f"'{name}' (train has '{match}')" if match else f"'{name}'"


def _some(names: Sequence[str], most: int = 8) -> str:
    """Names joined for a message; the rest counted."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def _and(found: Sequence[Path]) -> str:
    return " and ".join(f"'{folder.name}'" for folder in found)
